/** A library as a whole: its size, its languages, lengths, metadata, and a map of its documents. */

import { element, refill } from "./dom.js";
import { MapView } from "./map_view.js";
import { count, counted, percent, size } from "./words.js";

/**
 * @typedef {import("./types.js").Library} Library
 * @typedef {import("./types.js").Overview} Overview
 * @typedef {import("./types.js").Field} Field
 */

const QUANTILES = ["shortest", "a quarter has fewer", "median", "a quarter has more", "longest"];

export class LibraryView {
  /** @param {import("./shelf.js").Shelf} shelf @param {(title: string) => void} search for a document like this */
  constructor(shelf, search) {
    this._shelf = shelf;
    this._search = search;
    this._body = element("div", { class: "overview" });
    this._choice = element("select", { onchange: () => this.show(this._choice.value) });
    this._chooser = element("label", { class: "field chooser" }, element("span", { text: "Library" }), this._choice);
    this.node = element("section", { class: "library", "aria-label": "Library", hidden: true }, this._chooser, this._body);
  }

  /** @param {string} name */
  async show(name) {
    const library = this._shelf.named(name);
    const options = this._shelf.libraries.map((one) => element("option", { text: one.name }));
    refill(this._choice, ...options);
    this._choice.value = library.name;
    this._chooser.hidden = options.length < 2;
    this._shown = library.name;
    refill(this._body, element("p", { class: "hint", role: "status", text: `Counting what is in ${library.name} …` }));
    try {
      const overview = await this._shelf.overview(library.name, true);
      if (this._shown === library.name) this._draw(library, overview);
    } catch (error) {
      refill(this._body, element("p", { class: "error", role: "alert", text: String(error instanceof Error ? error.message : error) }));
    }
  }

  /** @param {Library} library @param {Overview} overview */
  _draw(library, overview) {
    const map = new MapView(this._search);
    refill(this._body,
      element("h2", {}, element("bdi", { text: library.name })), facts(library, overview),
      element("div", { class: "panels" },
        map.node,
        element("div", { class: "side" }, lengths(overview), fields(overview))));
    this._shelf.map(library.name).then((found) => map.draw(found), (error) => map.fail(error.message));
  }
}

/** @param {Library} library @param {Overview} overview */
function facts(library, overview) {
  const languages = overview.fields.find((field) => field.name === "lang");
  const rows = [
    ["Documents", count(overview.documents)],
    ["Passages", count(overview.passages)],
    ["On disk", size(library.bytes)],
    ["Model", library.model],
    ["Signals", library.signals.join(", ")],
    ["Store", library.store],
    ...(languages ? [["Languages", count(languages.distinct)]] : []),
  ];
  return element("dl", { class: "facts-list" },
    ...rows.map(([name, value]) => element("div", {}, element("dt", { text: name }), element("dd", { text: value }))));
}

/** @param {Overview} overview */
function lengths({ lengths: bars, length_quantiles: quantiles }) {
  if (!bars.length) return element("section", {}, element("h3", { text: "Lengths" }), element("p", { class: "hint", text: "No documents yet." }));
  const most = Math.max(...bars.map((bar) => bar.documents));
  const columns = bars.map(({ low, high, documents }) => element("div", {
    class: "column-bar", vars: { height: `${(100 * documents) / most}%`, least: documents ? "2px" : "0" },
    title: `${count(low)} to ${count(high - 1)} characters: ${counted(documents, "document")}`,
  }));
  const table = element("table", {}, element("caption", { text: "Characters of a document" }),
    element("tbody", {}, ...quantiles.map((value, place) => element("tr", {},
      element("th", { scope: "row", text: QUANTILES[place] }), element("td", { class: "numeric", text: count(value) })))));
  const label = `Documents by length, from ${count(bars[0].low)} to ${count(bars[bars.length - 1].high - 1)} characters`;
  return element("section", {}, element("h3", { text: "Lengths" }),
    element("div", { class: "histogram", role: "img", "aria-label": label }, ...columns),
    element("div", { class: "ends", "aria-hidden": "true" },
      element("span", { text: count(bars[0].low) }), element("span", { text: "characters" }),
      element("span", { text: count(bars[bars.length - 1].high - 1) })),
    table);
}

/** @param {Overview} overview */
function fields({ fields: all, documents }) {
  const nodes = all.map((field) => fieldNode(field, documents));
  return element("section", {}, element("h3", { text: "Metadata" }),
    ...(nodes.length ? nodes : [element("p", { class: "hint", text: "No document has any." })]));
}

/** @param {Field} field @param {number} whole */
function fieldNode(field, whole) {
  const { name, documents, distinct, complete, values, lowest, highest } = field;
  const range = lowest !== null && highest !== null ? `, ${count(lowest)} to ${count(highest)}` : "";
  const told = `${counted(distinct, "value")}${complete ? "" : " and more"}${range}, in ${percent(documents / whole)} of the documents`;
  const most = values[0]?.documents ?? 1;
  const rows = values.map(({ value, documents: number }) => element("li", { vars: { width: `${(100 * number) / most}%` } },
    element("bdi", { text: String(value) }), element("span", { class: "numeric", text: count(number) })));
  return element("details", { open: distinct <= 30 }, element("summary", {}, element("bdi", { text: name }), element("span", { class: "hint", text: told })),
    element("ul", { class: "value-bars" }, ...rows));
}
