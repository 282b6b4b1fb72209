/** Ranking hits anew under other weights, without asking: every rule's contributions are linear in the weights. */

import { SIGNALS } from "./words.js";

/**
 * @typedef {import("./types.js").Hit} Hit
 * @typedef {import("./types.js").Scores} Scores
 *
 * @typedef {object} Weighed a hit with what the signals add to its score
 * @property {Hit} hit
 * @property {number} score
 * @property {Scores} contributions
 * @property {number} first their sum; the score too, unless a reranker has its say
 * @property {import("./types.js").Signal[]} unknown signals with a weight whose score is not known yet
 */

/**
 * Hits as a search gave them.
 *
 * @param {Hit[]} hits
 * @returns {Weighed[]}
 */
export function asFound(hits) {
  return hits.map((hit) => ({
    hit,
    score: hit.score,
    contributions: hit.contributions,
    first: hit.reranking ? hit.reranking.first_score : hit.score,
    unknown: [],
  }));
}

/**
 * The same hits under other weights, best first. With a reranker the first stage has the given weight beside it, by its
 * standard scores over these hits, where a search takes them over all that the reranker has read: near, not the same.
 *
 * @param {Hit[]} hits
 * @param {object} how
 * @param {Scores} how.before weights under which they were found
 * @param {Scores} how.weights
 * @param {string} how.fusion
 * @param {number} how.firstStage
 * @param {(hit: Hit) => Scores} how.raw raw scores of a hit by all signals that are known
 * @returns {Weighed[]}
 */
export function weighedAnew(hits, { before, weights, fusion, firstStage, raw }) {
  const found = hits.map((hit) => weighedHit(hit, before, weights, fusion === "weighted-sum" ? raw(hit) : {}));
  if (hits.some((hit) => hit.reranking)) {
    const first = standard(found.map((one) => one.first));
    found.forEach((one, place) => {
      one.score = (one.hit.reranking?.score ?? 0) + firstStage * first[place];
    });
  }
  return found.sort((a, b) => b.score - a.score);
}

/** @param {Hit} hit @param {Scores} before @param {Scores} weights @param {Scores} raw @returns {Weighed} */
function weighedHit(hit, before, weights, raw) {
  /** @type {Weighed} */
  const found = { hit, score: 0, contributions: {}, first: 0, unknown: [] };
  for (const signal of SIGNALS) {
    const weight = weights[signal] ?? 0;
    if (!weight) continue;
    const one = unit(hit, signal, before[signal] ?? 0, raw);
    if (one === null) found.unknown.push(signal);
    else found.contributions[signal] = weight * one;
    found.first += found.contributions[signal] ?? 0;
  }
  found.score = found.first;
  return found;
}

/**
 * What a signal adds at a weight of 1; null if that is not known.
 *
 * @param {Hit} hit
 * @param {import("./types.js").Signal} signal
 * @param {number} before
 * @param {Scores} raw
 */
function unit(hit, signal, before, raw) {
  const added = hit.contributions[signal];
  if (before && added !== undefined) return added / before;
  return raw[signal] ?? null;
}

/** @param {number[]} values */
function standard(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  return values.map((value) => (spread ? (value - mean) / spread : 0));
}
