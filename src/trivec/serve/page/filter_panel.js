/** Filters: frequent values of metadata fields to tick, and an expression to type. */

import { element, newId, refill } from "./dom.js";
import { count } from "./words.js";

/**
 * @typedef {import("./types.js").Field} Field
 * @typedef {import("./types.js").Scalar} Scalar
 */

const SHOWN = 6;
const FEW = 12;
const MOST_FIELDS = 8;

export class FilterPanel {
  /**
   * @param {import("./types.js").Settings} settings changed in place
   * @param {() => void} changed
   */
  constructor(settings, changed) {
    this._settings = settings;
    this._changed = changed;
    this._boxes = element("div", { class: "facets" });
    const error = newId("filter-error");
    const hint = newId("filter-hint");
    this._expression = element("input", {
      type: "text", spellcheck: "false", autocomplete: "off", dir: "auto", "data-field": "where",
      placeholder: 'year >= 2000 and not lang = "de"', "aria-describedby": `${hint} ${error}`,
      value: settings.where,
      oninput: () => {
        settings.where = this._expression.value;
        changed();
      },
    });
    this._error = element("p", { class: "error expression", id: error, role: "alert", hidden: true });
    this.node = element("fieldset", { class: "filters" },
      element("legend", { text: "Only documents where" }),
      this._boxes,
      element("label", { class: "field wide" }, element("span", { text: "Expression" }), this._expression),
      element("p", { class: "hint", id: hint, text: "= != < <= > >= in all exists missing and or not ( )" }),
      this._error,
    );
  }

  /** @param {Field[]} fields */
  draw(fields) {
    const useful = fields.filter(({ values, distinct, documents, complete }) =>
      values.length > 0 && complete && (distinct <= FEW || distinct <= documents / 3));
    refill(this._boxes, ...useful.slice(0, MOST_FIELDS).map((field) => this._facet(field)));
    this._expression.value = this._settings.where;
  }

  /** Say what is wrong with the expression; null if nothing is. @param {string | null} message */
  complain(message) {
    this._error.hidden = message === null;
    this._error.textContent = message ?? "";
    if (message === null) this._expression.removeAttribute("aria-invalid");
    else this._expression.setAttribute("aria-invalid", "true");
  }

  /** @param {Field} field */
  _facet({ name, values }) {
    const picked = this._settings.picks[name] ?? [];
    const absent = picked.filter((value) => !values.some((one) => one.value === value));
    const all = [...values, ...absent.map((value) => ({ value, documents: 0 }))];
    const isLate = (/** @type {Scalar} */ value, /** @type {number} */ place) => place >= SHOWN && !picked.includes(value);
    const boxes = all.map(({ value, documents }, place) => this._box(name, value, documents, isLate(value, place)));
    const more = all.filter(({ value }, place) => isLate(value, place)).length;
    const list = element("div", { class: "values" }, ...boxes);
    const summary = element("summary", {}, element("span", { text: name, dir: "auto" }),
      picked.length > 0 && element("span", { class: "picked", text: `${picked.length} chosen` }));
    const button = more > 0 && element("button", {
      type: "button", class: "quiet", text: `${more} more`, "aria-expanded": "false",
      onclick: () => {
        list.classList.add("all");
        button.remove();
      },
    });
    return element("details", { open: picked.length > 0 }, summary, list, button);
  }

  /** @param {string} name @param {Scalar} value @param {number} documents @param {boolean} late */
  _box(name, value, documents, late) {
    const box = element("input", {
      type: "checkbox", checked: (this._settings.picks[name] ?? []).includes(value),
      onchange: () => {
        const others = (this._settings.picks[name] ?? []).filter((one) => one !== value);
        this._settings.picks[name] = box.checked ? [...others, value] : others;
        this._changed();
      },
    });
    return element("label", { class: late ? "value late" : "value" },
      box, element("span", { text: String(value), dir: "auto" }), element("span", { class: "count", text: count(documents) }));
  }
}
