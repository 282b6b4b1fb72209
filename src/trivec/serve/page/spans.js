/** Where words stand in texts, the best part of a long text, and texts with marks. */

import { element } from "./dom.js";

/**
 * @typedef {object} Span a stretch of a text in code units
 * @property {number} start
 * @property {number} end
 * @property {number} [sparse] weight of the word by this signal, in [0, 1]
 * @property {number} [bm25] likewise
 * @property {boolean} [aligned] whether it is the word that a word of the query is most like
 */

const UNSPACED =
  /[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Bopo}\p{sc=Yiii}\p{sc=Thai}\p{sc=Laoo}\p{sc=Khmr}\p{sc=Mymr}\p{sc=Tibt}\p{sc=Java}\p{sc=Bali}]/u;
const IN_WORD = "[\\p{L}\\p{M}\\p{N}]";

/**
 * All places of matched words, with weights relative to the most that a word has.
 *
 * @param {string} text
 * @param {import("./types.js").MatchedWord[]} words
 * @param {{sparse: number, bm25: number}} most
 * @returns {Span[]}
 */
export function matchSpans(text, words, most) {
  const folded = foldCase(text);
  return words.flatMap(({ word, weight, signal }) =>
    [...folded.matchAll(wholeWord(word))].map((found) => ({
      start: found.index,
      end: found.index + found[0].length,
      [signal]: Math.min(1, weight / (most[signal] || 1)),
    })),
  );
}

/** @param {string} word */
function wholeWord(word) {
  const letters = [...word];
  const spaced = (/** @type {string} */ letter) => /[\p{L}\p{M}\p{N}]/u.test(letter) && !UNSPACED.test(letter);
  const before = spaced(letters[0] ?? "") ? `(?<!${IN_WORD})` : "";
  const after = spaced(letters.at(-1) ?? "") ? `(?!${IN_WORD})` : "";
  return new RegExp(before + word.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&") + after, "gu");
}

/** Lower case in which every letter keeps its place. @param {string} text */
function foldCase(text) {
  const folded = text.toLowerCase();
  if (folded.length === text.length) return folded;
  return [...text].map((letter) => letter.toLowerCase().slice(0, letter.length).padEnd(letter.length)).join("");
}

/** The place in code units of a place in code points. @param {string} text @param {number} place */
export function unitsOf(text, place) {
  let units = 0;
  for (const letter of text) {
    if (place <= 0) break;
    place -= 1;
    units += letter.length;
  }
  return units;
}

/**
 * The stretch of a text that holds the most weight.
 *
 * @param {string} text
 * @param {Span[]} spans
 * @param {number} length
 * @returns {{start: number, end: number}}
 */
export function bestStretch(text, spans, length) {
  if (text.length <= length * 1.25) return { start: 0, end: text.length };
  const lead = Math.round(length / 5);
  let best = { start: 0, weight: 0 };
  for (const { start: word } of spans) {
    const start = Math.min(Math.max(0, word - lead), text.length - length);
    const inside = spans.filter((span) => span.start >= start && span.end <= start + length);
    const heard = new Map(inside.map((span) => [foldCase(text.slice(span.start, span.end)), weightOf(span)]));
    const weight = [...heard.values()].reduce((sum, value) => sum + value, 0) + inside.length / 1000;
    if (weight > best.weight + 1e-9) best = { start, weight };
  }
  return { start: wordStart(text, best.start), end: wordEnd(text, best.start + length) };
}

/** @param {Span} span */
function weightOf(span) {
  return (span.sparse ?? 0) + (span.bm25 ?? 0);
}

/** The beginning of a word near a place. @param {string} text @param {number} place */
export function wordStart(text, place) {
  if (place <= 0) return 0;
  const blank = text.slice(place, place + 24).search(/\s/);
  return blank < 0 ? letterStart(text, place) : place + blank + 1;
}

/** The end of a word near a place. @param {string} text @param {number} place */
export function wordEnd(text, place) {
  if (place >= text.length) return text.length;
  const blank = text.slice(place - 24, place).search(/\s\S*$/);
  return blank < 0 ? letterStart(text, place) : place - 24 + blank;
}

/** Not between the two halves of one letter. @param {string} text @param {number} place */
function letterStart(text, place) {
  return /[\uDC00-\uDFFF]/.test(text[place] ?? "") ? place - 1 : place;
}

/**
 * A stretch of a text as nodes, with marks where spans are.
 *
 * @param {string} text
 * @param {Span[]} spans
 * @param {{start: number, end: number}} [stretch]
 * @returns {(Node | string)[]}
 */
export function marked(text, spans, stretch = { start: 0, end: text.length }) {
  const inside = spans.filter((span) => span.end > stretch.start && span.start < stretch.end);
  const edges = [stretch.start, stretch.end, ...inside.flatMap(({ start, end }) => [start, end])]
    .map((edge) => Math.min(Math.max(edge, stretch.start), stretch.end));
  const sorted = [...new Set(edges)].sort((a, b) => a - b);
  const nodes = sorted.slice(0, -1).map((start, number) => {
    const part = text.slice(start, sorted[number + 1]);
    const over = inside.filter((span) => span.start <= start && span.end > start);
    return over.length ? mark(part, over) : part;
  });
  if (stretch.start > 0) nodes.unshift("… ");
  if (stretch.end < text.length) nodes.push(" …");
  return nodes;
}

/** @param {string} part @param {Span[]} over */
function mark(part, over) {
  const sparse = Math.max(...over.map((span) => span.sparse ?? 0));
  const bm25 = Math.max(...over.map((span) => span.bm25 ?? 0));
  const kinds = [sparse && "by-sparse", bm25 && "by-bm25", over.some((span) => span.aligned) && "aligned"];
  return element("mark", {
    text: part,
    class: kinds.filter(Boolean).join(" "),
    vars: { "sparse-weight": sparse.toFixed(3), "bm25-weight": bm25.toFixed(3) },
  });
}
