/** Explanations of hits, asked for a few at a time, the first hits first, and kept while the query stays. */

import { address, isAborted } from "./api.js";
import { keyOf } from "./hit_list.js";

/**
 * @typedef {import("./types.js").Hit} Hit
 * @typedef {import("./types.js").Explanation} Explanation
 */

const FIRST = 3;
const REST = 8;

export class Explanations {
  /** @param {import("./api.js").Api} api @param {() => void} arrived some of them */
  constructor(api, arrived) {
    this._api = api;
    this._arrived = arrived;
    /** @type {Map<string, Explanation>} */
    this._known = new Map();
    this._about = "";
    this._asking = new AbortController();
  }

  /** @param {Hit} hit @returns {Explanation | null} */
  of(hit) {
    return this._known.get(keyOf(hit)) ?? null;
  }

  /** The weight of the heaviest word of all hits, by each signal that matches words. */
  most() {
    const most = { sparse: 0, bm25: 0 };
    for (const { words } of this._known.values()) {
      for (const { signal, weight } of words) most[signal] = Math.max(most[signal], weight);
    }
    return most;
  }

  /** Whatever is asked from now on is about this. @param {string} library @param {string} query */
  about(library, query) {
    const about = JSON.stringify([library, query]);
    if (about === this._about) return;
    this.stop();
    this._about = about;
    this._known.clear();
  }

  stop() {
    this._asking.abort();
    this._asking = new AbortController();
  }

  /** @param {string} library @param {string} query @param {Hit[]} hits */
  async ask(library, query, hits) {
    this.stop();
    const { signal } = this._asking;
    const missing = hits.filter((hit) => !this.of(hit));
    try {
      for (let start = 0; start < missing.length; start += start ? REST : FIRST) {
        const some = missing.slice(start, start + (start ? REST : FIRST));
        await this._askSome(library, query, some, signal);
      }
    } catch (error) {
      if (!isAborted(error)) throw error;
    }
  }

  /** @param {string} library @param {string} query @param {Hit[]} hits @param {AbortSignal} signal */
  async _askSome(library, query, hits, signal) {
    const passages = hits.map(({ id, passage }) => ({ id, number: passage.number }));
    const { explanations } = await this._api.post(address(library, "/explain"), { query, passages }, signal);
    signal.throwIfAborted();
    hits.forEach((hit, place) => {
      if (explanations[place]) this._known.set(keyOf(hit), explanations[place]);
    });
    this._arrived();
  }
}
