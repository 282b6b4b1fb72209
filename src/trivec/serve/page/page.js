/** Where everything begins: what the server has, what the address says, and the parts of the page. */

import { readState, plainSettings, writeState } from "./address.js";
import { Api } from "./api.js";
import { Column } from "./column.js";
import { showChanges } from "./comparing.js";
import { askForKey, bindDialogs, showKeys } from "./dialogs.js";
import { element, refill } from "./dom.js";
import { bindKeys } from "./keyboard.js";
import { LibraryView } from "./library_view.js";
import { Marks } from "./marks.js";
import { Shelf } from "./shelf.js";
import { bindTheme } from "./theme_switch.js";

/** @typedef {import("./address.js").State} State */

const TYPING_MS = 150;
const WIDE = matchMedia("(min-width: 60rem)");

class Page {
  constructor() {
    this._field = /** @type {HTMLInputElement} */ (byId("query"));
    this._main = byId("main");
    this._columnsNode = element("div", { class: "columns" });
    this._api = new Api(askForKey);
    this._shelf = new Shelf(this._api);
    this._marks = new Marks();
    this._library = new LibraryView(this._shelf, (title) => this._searchFor(title));
    /** @type {Column[]} */
    this._columns = [];
    /** @type {State} */
    this._state = { query: "", view: "search", columns: [] };
  }

  async begin() {
    bindDialogs();
    bindTheme(/** @type {HTMLButtonElement} */ (byId("theme")));
    byId("help").addEventListener("click", showKeys);
    byId("search-form").addEventListener("submit", (event) => event.preventDefault());
    try {
      await this._shelf.load();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      refill(this._main, element("p", { class: "error", role: "alert", text: message }),
        element("button", { type: "button", text: "Try again", onclick: () => location.reload() }));
      return;
    }
    if (!this._shelf.libraries.length) {
      refill(this._main, element("p", { class: "lead", text: "This server has no library to search. Start it with one: trivec serve FOLDER" }));
      return;
    }
    refill(this._main, this._columnsNode, this._library.node);
    this._bind();
    const typed = this._field.value; // while the server was asked what it has
    this._load();
    if (typed) this._searchFor(typed);
  }

  _bind() {
    bindKeys(this._field, () => this._columns);
    this._field.addEventListener("input", () => this._typed(TYPING_MS));
    byId("search-form").addEventListener("submit", () => this._typed(0));
    const views = { "to-search": () => this._show(1), compare: () => this._show(2), "to-library": () => this._view("library") };
    for (const [id, show] of Object.entries(views)) {
      const button = /** @type {HTMLButtonElement} */ (byId(id));
      button.addEventListener("click", show);
      button.disabled = false; // a press before there is anything to show would be lost
    }
    window.addEventListener("popstate", () => this._load());
    WIDE.addEventListener("change", () => this._openDrawers());
  }

  /** Take the state that the address has. */
  _load() {
    this._state = readState(location.search, this._shelf.libraries[0].name);
    for (const settings of this._state.columns) settings.library = this._shelf.named(settings.library).name;
    this._field.value = this._state.query;
    this._drawColumns();
    this._drawView();
    this._ask(0);
  }

  _drawColumns() {
    this._columns.forEach((column) => column.stop());
    const parts = {
      api: this._api,
      shelf: this._shelf,
      marks: this._marks,
      changed: () => this._keep(),
      shown: () => showChanges(this._columns),
    };
    const two = this._state.columns.length === 2;
    this._columns = this._state.columns.map((settings, side) =>
      new Column(parts, settings, two ? (side ? "Right" : "Left") : "Results"));
    refill(this._columnsNode, ...this._columns.map((column) => column.node));
    this._columnsNode.classList.toggle("two", two);
    this._openDrawers();
  }

  /** On wide screens the settings stand beside the hits. */
  _openDrawers() {
    const beside = WIDE.matches && this._columns.length === 1;
    for (const column of this._columns) column.drawer.open = beside;
  }

  /** Show one column, or two to compare, of which the second begins as the first. @param {number} many */
  _show(many) {
    const [first, second] = this._state.columns;
    if (many !== this._state.columns.length) {
      this._state.columns = many === 2 ? [first, second ?? structuredClone(first)] : [first];
      this._drawColumns();
      this._ask(0);
      if (many === 2) this._columns[1].drawer.open = true;
    }
    this._view("search");
  }

  /** @param {"search" | "library"} view */
  _view(view) {
    this._state.view = view;
    this._drawView();
    this._keep(true);
  }

  _drawView() {
    const inLibrary = this._state.view === "library";
    this._columnsNode.hidden = inLibrary;
    this._library.node.hidden = !inLibrary;
    const two = this._state.columns.length === 2;
    const pressed = { "to-search": !inLibrary && !two, compare: !inLibrary && two, "to-library": inLibrary };
    for (const [id, is] of Object.entries(pressed)) byId(id).setAttribute("aria-pressed", String(is));
    if (inLibrary) this._library.show(this._state.columns[0].library);
  }

  /** @param {number} wait_ms */
  _typed(wait_ms) {
    this._state.query = this._field.value;
    if (this._state.view !== "search") this._view("search");
    this._ask(wait_ms);
    this._keep();
  }

  /** @param {string} title */
  _searchFor(title) {
    this._field.value = title;
    this._typed(0);
    this._field.focus();
  }

  /** @param {number} wait_ms */
  _ask(wait_ms) {
    for (const column of this._columns) column.search(this._state.query, wait_ms);
  }

  /** Write the state to the address. @param {boolean} [step] as a step that the browser's Back undoes */
  _keep(step = false) {
    const address = writeState(this._state);
    if (address === location.search) return;
    if (step) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
  }
}

/** @param {string} id @returns {HTMLElement} */
function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

new Page().begin();
