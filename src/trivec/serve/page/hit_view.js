/** One hit: its text with matched words, why it was found, and what a person thinks of it. */

import { bars } from "./bars.js";
import { element, newId, refill } from "./dom.js";
import { bestStretch, marked, matchSpans, unitsOf, wordEnd, wordStart } from "./spans.js";
import { whyView } from "./why_view.js";
import { score } from "./words.js";

/**
 * @typedef {import("./weighing.js").Weighed} Weighed
 * @typedef {import("./types.js").Hit} Hit
 * @typedef {import("./types.js").Explanation} Explanation
 * @typedef {import("./types.js").Alignment} Alignment
 *
 * @typedef {object} Around what a hit asks the list it stands in
 * @property {string} query
 * @property {(hit: Hit) => import("./types.js").Scores} raw
 * @property {(hit: Hit) => {above: Weighed | null, here: Weighed, below: Weighed | null}} places
 * @property {(hit: Hit, relevant: boolean) => void} mark
 * @property {(hit: Hit) => boolean | null} marked
 * @property {(hit: Hit) => void} explain asks for the explanation, if it is not there yet
 * @property {(hit: Hit) => Explanation | null} explanation
 * @property {() => {sparse: number, bm25: number}} heaviest the most that a matched word weighs in any hit
 */

const SNIPPET = 300;
const CONTEXT = 36;

export class HitView {
  /** @param {Hit} hit @param {Around} around */
  constructor(hit, around) {
    this.hit = hit;
    this._around = around;
    this._whole = false;
    /** @type {Alignment | null} */
    this._aligned = null;
    this._build();
    this.drawText();
    this.drawMark();
  }

  _build() {
    const name = newId("hit");
    const detail = newId("why");
    this._rank = element("span", { class: "rank" });
    this._change = element("span", { class: "change" });
    this._title = element("h3", { class: "title", id: name, dir: "auto" });
    this._snippet = element("p", { class: "snippet", dir: "auto" });
    this._more = element("button", { type: "button", class: "quiet more", onclick: () => this._toggleText() });
    this._bars = element("div", { class: "bars-place" });
    this._total = element("p", { class: "total" });
    this._detail = element("div", { class: "detail", id: detail, hidden: true });
    this._open = element("button", {
      type: "button", class: "open", "aria-expanded": "false", "aria-controls": detail, text: "Why",
      onclick: () => this.toggle(),
    });
    this._yes = this._judge("Relevant", true);
    this._no = this._judge("Not relevant", false);
    this.node = element("li", { class: "hit", tabindex: "-1", "aria-labelledby": name, "data-id": this.hit.id },
      element("div", { class: "head" }, this._rank, this._title, this._change),
      element("div", { class: "body" }, this._snippet, this._more, facts(this.hit)),
      element("div", { class: "evidence" }, this._total, this._bars),
      element("div", { class: "actions" }, this._open, this._yes, this._no),
      this._detail);
  }

  /** @param {string} text @param {boolean} relevant */
  _judge(text, relevant) {
    return element("button", {
      type: "button", class: relevant ? "judge yes" : "judge no", "aria-pressed": "false", text,
      onclick: () => this._around.mark(this.hit, relevant),
    });
  }

  /** Title and text, with what is known of matched words. */
  drawText() {
    const { hit } = this;
    const words = this._around.explanation(hit)?.words ?? [];
    const most = this._around.heaviest();
    const spans = matchSpans(hit.text, words, most);
    const titleSpans = matchSpans(hit.title, words, most);
    const stretch = this._whole ? { start: 0, end: hit.text.length } : bestStretch(hit.text, spans, SNIPPET);
    if (this._aligned) {
      const { inTitle, start, end } = this._placeOf(this._aligned);
      (inTitle ? titleSpans : spans).push({ start, end, aligned: true });
    }
    refill(this._title, ...(hit.title ? marked(hit.title, titleSpans) : [hit.id]));
    refill(this._snippet, ...marked(hit.text, spans, stretch));
    const cut = stretch.start > 0 || stretch.end < hit.text.length;
    this._more.hidden = !cut && !this._whole;
    this._more.textContent = this._whole ? "Show less" : "Show all";
    this._more.setAttribute("aria-expanded", String(this._whole));
  }

  /** Where the word of the document stands. @param {Alignment} alignment */
  _placeOf(alignment) {
    const inTitle = alignment.field === "title";
    const text = inTitle ? this.hit.title : this.hit.text;
    const shift = inTitle ? 0 : this.hit.passage.start;
    const start = unitsOf(text, alignment.document_start - shift);
    return { inTitle, text, start, end: unitsOf(text, alignment.document_end - shift) };
  }

  /** The word of the document among its neighbours. @param {Alignment} alignment */
  _contextOf(alignment) {
    const { text, start, end } = this._placeOf(alignment);
    const stretch = { start: wordStart(text, start - CONTEXT), end: wordEnd(text, end + CONTEXT) };
    return marked(text, [{ start, end, aligned: true }], stretch);
  }

  /** @param {Weighed} one @param {number} rank @param {import("./bars.js").Scale} scale */
  drawScore(one, rank, scale) {
    this._rank.textContent = String(rank);
    this._rank.setAttribute("aria-label", `Rank ${rank}`);
    refill(this._bars, bars(one, scale, this._around.raw(this.hit)));
    const { reranking } = this.hit;
    const before = reranking && reranking.first_rank !== rank ? `, was ${reranking.first_rank}` : "";
    refill(this._total, element("span", { text: reranking ? `Reranked${before}` : "Score" }),
      element("strong", { text: score(one.score) }));
    if (!this._detail.hidden) this._drawDetail();
  }

  /** @param {string} text @param {string} kind @param {string} spoken */
  drawChange(text, kind, spoken) {
    this._change.className = `change ${kind}`;
    refill(this._change, element("span", { "aria-hidden": "true", text }), element("span", { class: "spoken", text: spoken }));
  }

  drawMark() {
    const present = this._around.marked(this.hit);
    this._yes.setAttribute("aria-pressed", String(present === true));
    this._no.setAttribute("aria-pressed", String(present === false));
    this.node.classList.toggle("relevant", present === true);
    this.node.classList.toggle("irrelevant", present === false);
  }

  /** Explanations have come, of this hit or of others. */
  explained() {
    this.drawText();
    if (!this._detail.hidden) this._drawDetail();
  }

  get isOpen() {
    return !this._detail.hidden;
  }

  /** Open or close the reasons. */
  toggle() {
    const opens = this._detail.hidden;
    this._detail.hidden = !opens;
    this._open.setAttribute("aria-expanded", String(opens));
    this._whole = opens;
    this._aligned = null;
    this.drawText();
    if (!opens) return;
    this._drawDetail();
    this._around.explain(this.hit);
  }

  _toggleText() {
    this._whole = !this._whole;
    this.drawText();
  }

  _drawDetail() {
    const explanation = this._around.explanation(this.hit);
    if (!explanation) {
      refill(this._detail, element("p", { class: "hint", text: "Asking why …" }));
      return;
    }
    if (this._detail.contains(document.activeElement)) return; // somebody is reading it
    refill(this._detail, ...whyView(this._around.query, explanation, (alignment) => {
      this._aligned = alignment;
      this._whole = true;
      this.drawText();
    }, (alignment) => this._contextOf(alignment), this._around.places(this.hit)));
  }
}

/** Id, place and metadata. @param {Hit} hit */
function facts({ id, passage, metadata }) {
  const parts = [element("bdi", { class: "id", text: id })];
  if (passage.count > 1) parts.push(element("span", { text: `passage ${passage.number + 1} of ${passage.count}` }));
  for (const [name, value] of Object.entries(metadata).slice(0, 6)) {
    if (value === null) continue;
    const text = Array.isArray(value) ? value.join(", ") : String(value);
    parts.push(element("span", {}, element("span", { class: "field-name", text: `${name} ` }),
      element("bdi", { text: text.length > 60 ? `${text.slice(0, 60)}…` : text })));
  }
  return element("p", { class: "facts" }, ...parts);
}
