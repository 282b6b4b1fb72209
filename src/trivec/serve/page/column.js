/** One column: settings, and what a search with them finds. */

import { Refused, address, isAborted } from "./api.js";
import { element, newId, refill } from "./dom.js";
import * as effective from "./effective.js";
import { Explanations } from "./explanations.js";
import { FilterPanel } from "./filter_panel.js";
import { HitList } from "./hit_list.js";
import { MarksPanel } from "./marks_panel.js";
import { SettingsPanel } from "./settings_panel.js";
import { asFound, weighedAnew } from "./weighing.js";
import { joinedFilter } from "./where.js";
import { counted, duration } from "./words.js";

/**
 * @typedef {import("./types.js").Hit} Hit
 * @typedef {import("./types.js").Scores} Scores
 *
 * @typedef {object} Parts what all columns share
 * @property {import("./api.js").Api} api
 * @property {import("./shelf.js").Shelf} shelf
 * @property {import("./marks.js").Marks} marks
 * @property {() => void} changed the settings have
 * @property {() => void} shown other hits, or in another order
 *
 * @typedef {object} Answer
 * @property {Hit[]} hits
 * @property {Scores} weights under which they were found
 * @property {number} seconds
 */

const AFTER_WEIGHTS_MS = 350;
const AFTER_FILTERS_MS = 250;

export class Column {
  /** @param {Parts} parts @param {import("./types.js").Settings} settings changed in place @param {string} name */
  constructor(parts, settings, name) {
    this._parts = parts;
    this.settings = settings;
    this.query = "";
    /** @type {Answer | null} */
    this.answer = null;
    this._listed = "";
    this._number = 0;
    this._timer = 0;
    this._asking = new AbortController();
    this._explanations = new Explanations(parts.api, () => this.list.drawExplanations());
    this.list = new HitList(this._around());
    this._settingsPanel = new SettingsPanel(parts.shelf, settings, {
      changed: () => this._changed(),
      weighed: () => this._weighed(),
      moved: () => this._moved(),
    });
    this._filters = new FilterPanel(settings, () => this._changed(AFTER_FILTERS_MS));
    this._marksPanel = new MarksPanel(parts.marks, parts.api, () => settings.library);
    parts.marks.addEventListener("change", () => this.list.drawMarks());
    this._build(name);
    this._drawFilters();
  }

  /** @param {string} name */
  _build(name) {
    this._status = element("p", { class: "status", role: "status" });
    this._error = element("p", { class: "error", role: "alert", hidden: true });
    this._shared = element("p", { class: "shared" });
    this._start = element("div", { class: "start" });
    this._told = element("span", { class: "told" });
    this.drawer = element("details", { class: "settings" },
      element("summary", {}, element("span", { text: "Settings" }), this._told),
      element("div", { class: "settings-body" }, this._settingsPanel.node, this._filters.node, this._marksPanel.node));
    const heading = newId("column");
    this.node = element("section", { class: "column", "aria-labelledby": heading },
      element("h2", { class: "spoken", id: heading, text: name }), this.drawer,
      element("div", { class: "results" },
        element("div", { class: "line" }, this._status, this._shared), this._error, this._start, this.list.node));
    this._tell();
  }

  /** @returns {import("./hit_view.js").Around} */
  _around() {
    const column = this;
    const { marks } = this._parts;
    return {
      get query() {
        return column.query;
      },
      raw: (hit) => column._raw(hit),
      places: (hit) => column.list.places(hit),
      marked: (hit) => marks.get(column.settings.library, column.query, hit.id)?.relevant ?? null,
      mark: (hit, relevant) => column.mark(hit, relevant),
      explanation: (hit) => column._explanations.of(hit),
      heaviest: () => column._explanations.most(),
      explain: (hit) => {
        if (!column._explanations.of(hit)) column._explain([hit, ...(column.answer?.hits ?? [])]);
      },
    };
  }

  get _library() {
    return this._parts.shelf.named(this.settings.library);
  }

  /** Raw scores of a hit by all signals that are known of it. @param {Hit} hit @returns {Scores} */
  _raw(hit) {
    const told = this._explanations.of(hit)?.signals ?? [];
    return { ...Object.fromEntries(told.map(({ signal, score }) => [signal, score])), ...hit.signals };
  }

  /** Mark a hit, or take the mark back. @param {Hit} hit @param {boolean} relevant */
  mark(hit, relevant) {
    const { id, title, text } = hit;
    const now = this._parts.marks.toggle(this.settings.library, this.query, id, { relevant, title, text });
    this._say(now === null ? "The mark is taken back." : now ? "Marked as relevant." : "Marked as not relevant.");
  }

  /** Search after a while, unless something else is asked for before. @param {string} query @param {number} wait_ms */
  search(query, wait_ms = 0) {
    this.query = query.trim();
    clearTimeout(this._timer);
    this._timer = window.setTimeout(() => this._run(), wait_ms);
  }

  stop() {
    clearTimeout(this._timer);
    this._number += 1;
    this._asking.abort();
    this._explanations.stop();
  }

  async _run() {
    this.stop();
    if (!this.query) return this._empty();
    const number = this._number;
    this._asking = new AbortController();
    this.list.node.setAttribute("aria-busy", "true");
    const { settings, query } = this;
    const way = this._library.search;
    const where = joinedFilter(settings.picks, settings.where);
    const weights = effective.weights(settings, way);
    const started = performance.now();
    try {
      const body = effective.body(settings, way, query, where);
      const found = await this._parts.api.post(address(settings.library, "/search"), body, this._asking.signal);
      if (number !== this._number) return; // something newer was asked for
      this.answer = { hits: found.hits, weights, seconds: (performance.now() - started) / 1000 };
      this._complain(null);
      this._show();
    } catch (error) {
      if (number === this._number && !isAborted(error)) this._complain(error);
    } finally {
      if (number === this._number) this.list.node.removeAttribute("aria-busy");
    }
  }

  _show() {
    const { hits, seconds } = /** @type {Answer} */ (this.answer);
    const about = JSON.stringify([this.settings.library, this.query]);
    if (about !== this._listed) this.list.clear();
    this._listed = about;
    this._explanations.about(this.settings.library, this.query);
    this._start.hidden = true;
    this.list.show(asFound(hits));
    this._say(`${counted(hits.length, "hit")} in ${duration(seconds)}`);
    this._parts.shown();
    this._explain(hits);
  }

  /** @param {Hit[]} hits */
  _explain(hits) {
    this._explanations.ask(this.settings.library, this.query, hits).catch((error) => this._complain(error));
  }

  _empty() {
    this.answer = null;
    this.list.clear();
    this._complain(null);
    this._say("");
    this._start.hidden = false;
    const { name, documents, model } = this._library;
    refill(this._start,
      element("p", { class: "lead" }, "Ask ", element("bdi", { text: name }), ` anything: ${counted(documents, "document")}, read by ${model}.`),
      element("p", { class: "hint" }, "Each hit shows what every signal added to its score, and which words it shares with the question."));
    this._parts.shown();
  }

  /** A slider moves: rank what is there at once, and ask when it rests. */
  _weighed() {
    this._tell();
    this._parts.changed();
    if (!this.answer) return;
    const way = this._library.search;
    const { hits, weights } = this.answer;
    this.list.show(weighedAnew(hits, {
      before: weights,
      weights: effective.weights(this.settings, way),
      fusion: effective.fusion(this.settings, way),
      firstStage: effective.firstStage(this.settings, way),
      raw: (hit) => this._raw(hit),
    }));
    this._parts.shown();
    this.search(this.query, AFTER_WEIGHTS_MS);
  }

  /** @param {number} [wait_ms] */
  _changed(wait_ms = 0) {
    this._tell();
    this._parts.changed();
    this.search(this.query, wait_ms);
  }

  _moved() {
    this._drawFilters();
    this._marksPanel.draw();
    this._changed();
  }

  async _drawFilters() {
    const { library } = this.settings;
    try {
      const { fields } = await this._parts.shelf.overview(library);
      if (library === this.settings.library) this._filters.draw(fields);
    } catch (error) {
      this._complain(error);
    }
  }

  /** What the drawer holds, while it is closed. */
  _tell() {
    this._told.textContent = `${this.settings.library}: ${effective.described(this.settings)}`;
  }

  /** @param {string} text */
  _say(text) {
    this._status.textContent = text;
  }

  /** @param {unknown} error null if all is well */
  _complain(error) {
    const message = error === null ? null : error instanceof Error ? error.message : String(error);
    const aboutFilter = error instanceof Refused && error.code === "invalid_filter";
    this._filters.complain(aboutFilter ? message : null);
    this._error.hidden = message === null;
    this._error.textContent = message ?? "";
    if (message !== null) this._say("");
  }

  /** @param {string} text */
  tellShared(text) {
    this._shared.textContent = text;
  }
}
