/** Why a hit stands where it stands: alignments, matched words, and how it differs from its neighbours. */

import { alignmentView } from "./alignment_view.js";
import { element } from "./dom.js";
import { SIGNALS, SIGNAL_NAMES, score } from "./words.js";

/**
 * @typedef {import("./weighing.js").Weighed} Weighed
 * @typedef {import("./types.js").Explanation} Explanation
 *
 * @param {string} query
 * @param {Explanation} explanation
 * @param {(alignment: import("./types.js").Alignment | null) => void} show
 * @param {(alignment: import("./types.js").Alignment) => (Node | string)[]} around
 * @param {{above: Weighed | null, here: Weighed, below: Weighed | null}} places
 * @returns {HTMLElement[]}
 */
export function whyView(query, explanation, show, around, places) {
  return [
    alignmentView(query, explanation.alignments, show, around),
    element("div", { class: "why-tables" }, wordsTable(explanation), rawTable(explanation), neighbours(places)),
  ];
}

/** @param {Explanation} explanation */
function wordsTable({ words }) {
  /** @type {Map<string, {sparse?: number, bm25?: number}>} */
  const rows = new Map();
  for (const { word, weight, signal } of words) rows.set(word, { ...rows.get(word), [signal]: weight });
  if (!rows.size) return element("div", {}, element("h4", { text: "Shared words" }), element("p", { class: "hint", text: "None: it was found by meaning." }));
  const cells = [...rows].map(([word, { sparse, bm25 }]) => element("tr", {},
    element("th", { scope: "row" }, element("bdi", { text: word })),
    element("td", { class: "numeric", text: sparse === undefined ? "–" : score(sparse) }),
    element("td", { class: "numeric", text: bm25 === undefined ? "–" : score(bm25) })));
  return table("Shared words", ["Word", "Sparse", "BM25"], cells);
}

/** @param {Explanation} explanation */
function rawTable({ signals }) {
  const cells = signals.map(({ signal, score: value }) => element("tr", {},
    element("th", { scope: "row", class: `name ${signal}`, text: SIGNAL_NAMES[signal] }),
    element("td", { class: "numeric", text: score(value) })));
  return table("Scores before weighing", ["Signal", "Score"], cells);
}

/** @param {{above: Weighed | null, here: Weighed, below: Weighed | null}} places */
function neighbours({ above, here, below }) {
  const beside = [above && { name: "above", other: above }, below && { name: "below", other: below }]
    .filter((one) => one !== null);
  const signals = SIGNALS.filter((signal) => signal in here.contributions);
  if (!beside.length || !signals.length) return null;
  const cells = signals.map((signal) => element("tr", {},
    element("th", { scope: "row", class: `name ${signal}`, text: SIGNAL_NAMES[signal] }),
    ...beside.map(({ other }) => difference((here.contributions[signal] ?? 0) - (other.contributions[signal] ?? 0)))));
  cells.push(element("tr", { class: "sum" }, element("th", { scope: "row", text: "Together" }),
    ...beside.map(({ other }) => difference(here.first - other.first))));
  if (here.hit.reranking) {
    cells.push(element("tr", {}, element("th", { scope: "row", class: "name rerank", text: "Reranker (logit)" }),
      ...beside.map(({ other }) => difference((here.hit.reranking?.score ?? 0) - (other.hit.reranking?.score ?? 0)))));
  }
  return table("More than the hit", ["Signal", ...beside.map(({ name }) => name)], cells);
}

/** @param {number} value */
function difference(value) {
  const sign = value > 0 ? "+" : "";
  const kind = Math.abs(value) < 0.0005 ? "same" : value > 0 ? "gain" : "loss";
  return element("td", { class: `numeric ${kind}`, text: kind === "same" ? "0" : sign + score(value) });
}

/** @param {string} title @param {string[]} heads @param {HTMLElement[]} rows */
function table(title, heads, rows) {
  return element("table", {}, element("caption", { text: title }),
    element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { scope: "col", text })))),
    element("tbody", {}, ...rows));
}
