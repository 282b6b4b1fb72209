/** The words of a query against those of a document: choose one to see what it is most like. */

import { element } from "./dom.js";
import { unitsOf } from "./spans.js";
import { score } from "./words.js";

/**
 * @typedef {import("./types.js").Alignment} Alignment
 *
 * @param {string} query
 * @param {Alignment[]} alignments
 * @param {(alignment: Alignment | null) => void} show marks the word of the document
 * @param {(alignment: Alignment) => (Node | string)[]} around the word of the document among its neighbours
 * @returns {HTMLElement}
 */
export function alignmentView(query, alignments, show, around) {
  if (!alignments.length) {
    return element("p", { class: "hint", text: "No words to align: this library or mode has no multi-vectors." });
  }
  const line = element("p", { class: "aligned-pair", "aria-live": "polite" });
  const chips = chipsOf(query, alignments, (alignment) => {
    tell(line, alignment, around);
    show(alignment);
  });
  tell(line, null, around);
  return element("div", { class: "alignments" },
    element("h4", { text: "What each word of the query is most like" }),
    element("p", { class: "chips", dir: "auto" }, ...chips), line, table(alignments));
}

/** @param {string} query @param {Alignment[]} alignments @param {(alignment: Alignment | null) => void} choose */
function chipsOf(query, alignments, choose) {
  /** @type {HTMLButtonElement | null} */
  let chosen = null;
  /** @type {(Node | string)[]} */
  const nodes = [];
  let behind = 0;
  for (const alignment of [...alignments].sort((a, b) => a.query_start - b.query_start)) {
    const [start, end] = [unitsOf(query, alignment.query_start), unitsOf(query, alignment.query_end)];
    nodes.push(query.slice(behind, start));
    const chip = element("button", {
      type: "button", class: "chip", "aria-pressed": "false",
      vars: { strength: Math.max(0, alignment.similarity).toFixed(3) },
      onclick: () => {
        const again = chosen === chip;
        chosen?.setAttribute("aria-pressed", "false");
        chosen = again ? null : chip;
        chosen?.setAttribute("aria-pressed", "true");
        choose(again ? null : alignment);
      },
      onmouseenter: () => choose(alignment),
      onfocus: () => choose(alignment),
      onmouseleave: () => back(),
      onblur: () => back(),
    }, element("bdi", { text: query.slice(start, end) }), element("small", { text: alignment.similarity.toFixed(2) }));
    alignmentOf.set(chip, alignment);
    nodes.push(chip);
    behind = end;
  }
  nodes.push(query.slice(behind));
  const back = () => choose(chosen ? (alignmentOf.get(chosen) ?? null) : null);
  return nodes;
}

/** @type {WeakMap<Element, Alignment>} */
const alignmentOf = new WeakMap();

/** @param {Element} line @param {Alignment | null} alignment @param {(alignment: Alignment) => (Node | string)[]} around */
function tell(line, alignment, around) {
  if (!alignment) {
    line.replaceChildren("Point at a word, or choose one, to see where it went.");
    return;
  }
  const { query_word, document_word, field, similarity } = alignment;
  line.replaceChildren(
    element("bdi", { class: "from", text: query_word }), " is most like ",
    element("bdi", { class: "to", text: document_word }), ` in the ${field}: similarity ${score(similarity)}`,
    element("span", { class: "context", dir: "auto" }, ...around(alignment)),
  );
}

/** @param {Alignment[]} alignments */
function table(alignments) {
  const heads = ["Query", "Document", "Where", "Similarity"];
  const rows = alignments.map(({ query_word, document_word, field, similarity }) =>
    element("tr", {},
      element("th", { scope: "row" }, element("bdi", { text: query_word })),
      element("td", {}, element("bdi", { text: document_word })),
      element("td", { text: field }),
      element("td", { class: "numeric", text: score(similarity) })));
  return element("details", { class: "as-table" }, element("summary", { text: "As a table" }),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Aligned words" },
      element("table", {},
        element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { scope: "col", text })))),
        element("tbody", {}, ...rows))));
}
