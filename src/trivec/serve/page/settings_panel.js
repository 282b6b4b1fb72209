/** The settings of a search: library, mode, weights, fusion, reranker, number of hits. */

import { element, newId, refill } from "./dom.js";
import * as effective from "./effective.js";
import { SIGNAL_MEANINGS, SIGNAL_NAMES, count, weight } from "./words.js";

/**
 * @typedef {import("./types.js").Settings} Settings
 * @typedef {import("./types.js").Signal} Signal
 *
 * @typedef {object} Listeners
 * @property {() => void} changed something but a weight
 * @property {() => void} weighed a weight, at every movement
 * @property {() => void} moved to another library
 */

const MODES = ["hybrid", "dense", "sparse", "bm25", "multi"];
const COUNTS = [5, 10, 20, 50, 100];
const STEP = 0.05;
const LEAST_RANGE = 2;

export class SettingsPanel {
  /** @param {import("./shelf.js").Shelf} shelf @param {Settings} settings changed in place @param {Listeners} listeners */
  constructor(shelf, settings, listeners) {
    this._shelf = shelf;
    this._settings = settings;
    this._listeners = listeners;
    this.node = element("div", { class: "settings-fields" });
    this.draw();
  }

  get _library() {
    return this._shelf.named(this._settings.library);
  }

  /** Show the settings as they are. */
  draw() {
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.field;
    refill(this.node, this._libraries(), this._modes(), this._weights(), this._fusions(), this._rerankers(), this._counts());
    if (focused) /** @type {HTMLElement | null} */ (this.node.querySelector(`[data-field="${focused}"]`))?.focus();
  }

  _changed() {
    this.draw();
    this._listeners.changed();
  }

  _libraries() {
    const choices = this._shelf.libraries.map(({ name, model }) => ({ value: name, name: `${name} (${model})` }));
    return this._choice("Library", "library", choices, this._settings.library, (value) => {
      Object.assign(this._settings, { library: value, picks: {}, where: "", weights: null });
      this.draw();
      this._listeners.moved();
    });
  }

  _modes() {
    const { signals, search } = this._library;
    const present = effective.mode(this._settings, search);
    const group = newId("mode");
    const choices = MODES.filter((mode) => mode === "hybrid" || signals.includes(/** @type {Signal} */ (mode)));
    const radios = choices.map((mode) => {
      const radio = element("input", {
        type: "radio", name: group, value: mode, checked: mode === present, "data-field": `mode-${mode}`,
        onchange: () => {
          this._settings.mode = mode === search.mode ? null : mode;
          this._changed();
        },
      });
      return element("label", { class: `segment ${mode}`, title: SIGNAL_MEANINGS[mode] },
        radio, element("span", { text: SIGNAL_NAMES[mode] }));
    });
    return element("fieldset", {}, element("legend", { text: "Rank by" }), element("div", { class: "segments" }, ...radios));
  }

  _weights() {
    const { signals, search } = this._library;
    const mixed = effective.mode(this._settings, search) === "hybrid";
    const rows = signals.map((signal) => this._slider(signal, mixed));
    const reset = element("button", {
      type: "button", class: "quiet", text: "As the library", "data-field": "reset",
      disabled: this._settings.weights === null,
      onclick: () => {
        this._settings.weights = null;
        this._changed();
      },
    });
    const note = mixed ? null : element("p", { class: "hint", text: "Only a hybrid search weighs signals." });
    return element("fieldset", { disabled: !mixed }, element("legend", { text: "Weights" }), ...rows, note, mixed && reset);
  }

  /** @param {Signal} signal @param {boolean} mixed */
  _slider(signal, mixed) {
    const { search } = this._library;
    const present = effective.weights(this._settings, search)[signal] ?? 0;
    const shown = element("span", { class: "weight", "aria-hidden": "true", text: weight(present) });
    const slider = element("input", {
      type: "range", min: 0, max: Math.max(LEAST_RANGE, Math.ceil(present)), step: STEP, value: present,
      disabled: !mixed, "data-field": `weight-${signal}`, title: SIGNAL_MEANINGS[signal], class: signal,
      oninput: () => {
        shown.textContent = weight(Number(slider.value));
        this._settings.weights = { ...effective.weights(this._settings, search), [signal]: Number(slider.value) };
        const reset = this.node.querySelector('[data-field="reset"]');
        if (reset) /** @type {HTMLButtonElement} */ (reset).disabled = false;
        this._listeners.weighed();
      },
    });
    return element("label", { class: "slider" }, element("span", { class: `name ${signal}`, text: SIGNAL_NAMES[signal] }), slider, shown);
  }

  _fusions() {
    const { search } = this._library;
    const choices = Object.keys(search.rules).map((name) => ({ value: name, name }));
    return this._choice("Fusion", "fusion", choices, effective.fusion(this._settings, search), (value) => {
      this._settings.fusion = value === search.fusion ? null : value;
      this._settings.weights = null;
      this._changed();
    }, effective.mode(this._settings, search) !== "hybrid");
  }

  _rerankers() {
    const { search } = this._library;
    const own = search.reranker ? `as the library: ${search.reranker}` : "none";
    const choices = [{ value: "*", name: own }];
    if (search.reranker) choices.push({ value: "", name: "none" });
    for (const name of this._shelf.rerankers) if (name !== search.reranker) choices.push({ value: name, name });
    const choice = this._choice("Reranker", "reranker", choices, this._settings.reranker ?? "*", (value) => {
      Object.assign(this._settings, { reranker: value === "*" ? null : value, depth: null, firstStage: null });
      this._changed();
    }, choices.length === 1);
    const hint = this._shelf.rerankers.length ? null
      : element("p", { class: "hint", text: "The server was started without one: trivec serve --reranker NAME" });
    if (!effective.reranker(this._settings, search)) return element("div", { class: "group" }, choice, hint);
    const depth = this._number("Hits it reads", "depth", this._settings.depth, search.depth ?? "as tuned, else 100", 1);
    const first = this._number("Weight of the first stage", "firstStage", this._settings.firstStage,
      search.first_stage ?? "as tuned, else 0", 0);
    return element("div", { class: "group" }, choice, depth, first);
  }

  /**
   * @param {string} label @param {"depth" | "firstStage"} name @param {number | null} value
   * @param {string | number} placeholder @param {number} least
   */
  _number(label, name, value, placeholder, least) {
    const field = element("input", {
      type: "number", min: least, step: name === "depth" ? 1 : 0.1, max: 1000, value: value ?? "", placeholder,
      "data-field": name,
      onchange: () => {
        const number = Number(field.value);
        const usable = field.value.trim() !== "" && field.validity.valid;
        this._settings[name] = usable ? number : null;
        this._listeners.changed(); // not drawn anew: the next field may be in use already
      },
    });
    return element("label", { class: "field" }, element("span", { text: label }), field);
  }

  _counts() {
    const { k } = this._settings;
    const offered = [...new Set([...COUNTS, k])].sort((a, b) => a - b);
    const choices = offered.map((number) => ({ value: String(number), name: count(number) }));
    return this._choice("Hits", "k", choices, String(k), (value) => {
      this._settings.k = Number(value);
      this._changed();
    });
  }

  /**
   * @param {string} label @param {string} name @param {{value: string, name: string}[]} choices
   * @param {string} present @param {(value: string) => void} choose @param {boolean} [off]
   */
  _choice(label, name, choices, present, choose, off = false) {
    const options = choices.map((choice) => element("option", { value: choice.value, text: choice.name }));
    options.forEach((option, place) => option.setAttribute("value", choices[place].value));
    const select = element("select", { "data-field": name, disabled: off, onchange: () => choose(select.value) }, ...options);
    select.value = present;
    return element("label", { class: "field" }, element("span", { text: label }), select);
  }
}
