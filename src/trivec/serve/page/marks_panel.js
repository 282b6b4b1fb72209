/** How much was marked in a library, and what can be made of it. */

import { address } from "./api.js";
import { element, refill } from "./dom.js";
import { evaluationSet, save, trainingFile } from "./exports.js";
import { counted } from "./words.js";
import { zipped } from "./zip.js";

export class MarksPanel {
  /** @param {import("./marks.js").Marks} marks @param {import("./api.js").Api} api @param {() => string} library */
  constructor(marks, api, library) {
    this._marks = marks;
    this._api = api;
    this._library = library;
    this.node = element("fieldset", { class: "marks" });
    marks.addEventListener("change", () => this.draw());
    this.draw();
  }

  draw() {
    const { queries, marks, relevant } = this._marks.counts(this._library());
    const told = marks
      ? `${counted(marks, "mark")} (${relevant} relevant) in ${counted(queries, "query", "queries")}, kept in this browser.`
      : "Mark hits as relevant or not, by their buttons or the keys r and n.";
    const buttons = [
      this._button("Save for training", relevant > 0, () => this._saveTraining()),
      this._button("Save for evaluation", marks > 0, () => this._saveEvaluation()),
      this._button("Forget", marks > 0, () => this._forget()),
    ];
    refill(this.node, element("legend", { text: "Judgements" }), element("p", { class: "hint", text: told }),
      marks > 0 && element("div", { class: "row" }, ...buttons));
  }

  /** @param {string} text @param {boolean} able @param {() => void} act */
  _button(text, able, act) {
    return element("button", { type: "button", text, disabled: !able, onclick: act });
  }

  _saveTraining() {
    const content = trainingFile(this._marks.of(this._library()));
    save(`${this._library()}-training.jsonl`, new Blob([content], { type: "application/x-ndjson" }));
  }

  async _saveEvaluation() {
    const library = this._library();
    const fetchDocument = (/** @type {string} */ id) =>
      this._api.get(address(library, `/documents/${encodeURIComponent(id)}`)).catch(() => null);
    const files = await evaluationSet(this._marks.of(library), fetchDocument);
    save(`${library}-evaluation.zip`, zipped(files));
  }

  _forget() {
    const { marks } = this._marks.counts(this._library());
    if (window.confirm(`Forget ${counted(marks, "mark")} of ${this._library()}?`)) this._marks.clear(this._library());
  }
}
