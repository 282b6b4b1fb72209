/** Names of signals, and numbers as people read them. */

/** @type {import("./types.js").Signal[]} */
export const SIGNALS = ["dense", "sparse", "bm25", "multi"];

/** @type {Record<string, string>} */
export const SIGNAL_NAMES = {
  dense: "Dense",
  sparse: "Sparse",
  bm25: "BM25",
  multi: "Multi",
  rerank: "Reranker",
  hybrid: "Hybrid",
};

/** @type {Record<string, string>} */
export const SIGNAL_MEANINGS = {
  dense: "One vector a text: cosine",
  sparse: "Learned weights of shared tokens",
  bm25: "Counts of shared tokens: share of the most that the query could bring",
  multi: "Multi-vector, one a token: mean similarity of the best matches",
  hybrid: "All signals, mixed by their weights",
};

/** @param {number} value */
export function score(value) {
  return value.toFixed(3).replace("-", "−");
}

/** A weight, without needless digits. @param {number} value */
export function weight(value) {
  return String(Math.round(value * 1000) / 1000);
}

/** @param {number} value */
export function count(value) {
  return value.toLocaleString("en");
}

/** @param {number} value @param {string} one @param {string} [several] */
export function counted(value, one, several = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : several}`;
}

/** @param {number} seconds */
export function duration(seconds) {
  return seconds < 1 ? `${Math.max(1, Math.round(seconds * 1000))} ms` : `${seconds.toFixed(1)} s`;
}

/** @param {number} bytes */
export function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${value < 10 && power ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

/** @param {number} share */
export function percent(share) {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}
