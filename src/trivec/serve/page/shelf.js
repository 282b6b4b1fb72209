/** What the server has: libraries, rerankers, and for each library what is in it. */

import { address } from "./api.js";

/**
 * @typedef {import("./types.js").Library} Library
 * @typedef {import("./types.js").Overview} Overview
 */

export class Shelf {
  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this._api = api;
    /** @type {Library[]} */
    this.libraries = [];
    /** @type {string[]} */
    this.rerankers = [];
    /** @type {Map<string, Promise<Overview>>} */
    this._overviews = new Map();
  }

  async load() {
    const [shelf, models] = await Promise.all([this._api.get("v1/libraries"), this._api.get("v1/models")]);
    this.libraries = shelf.libraries;
    this.rerankers = models.data.filter((/** @type {any} */ model) => model.kind === "reranker")
      .map((/** @type {any} */ model) => model.id);
  }

  /** The library of this name, or the first. @param {string} name @returns {Library} */
  named(name) {
    return this.libraries.find((library) => library.name === name) ?? this.libraries[0];
  }

  /** @param {string} name @param {boolean} [again] ask, though it is known @returns {Promise<Overview>} */
  overview(name, again = false) {
    const known = this._overviews.get(name);
    if (known && !again) return known;
    const asked = this._api.get(address(name, "/overview"));
    asked.catch(() => this._overviews.delete(name));
    this._overviews.set(name, asked);
    return asked;
  }

  /** @param {string} name @returns {Promise<import("./types.js").DocumentMap>} */
  map(name) {
    return this._api.get(address(name, "/map"));
  }
}
