/** What a person said of documents: relevant to a query or not. Kept in this browser, by library and query. */

/**
 * @typedef {import("./types.js").Mark} Mark
 * @typedef {Record<string, Record<string, Mark>>} Judgements marks by query and document
 */

const KEEP = "trivec.marks.";

export class Marks extends EventTarget {
  /** @param {string} library @returns {Judgements} */
  of(library) {
    try {
      return JSON.parse(localStorage.getItem(KEEP + library) ?? "{}");
    } catch {
      return {};
    }
  }

  /** @param {string} library @param {string} query @param {string} id @returns {Mark | null} */
  get(library, query, id) {
    return this.of(library)[query.trim()]?.[id] ?? null;
  }

  /**
   * Mark a document, or take the same mark back.
   *
   * @param {string} library
   * @param {string} query
   * @param {string} id
   * @param {Mark} mark
   * @returns {boolean | null} what it is now
   */
  toggle(library, query, id, mark) {
    const all = this.of(library);
    const own = (all[query.trim()] ??= {});
    const taken = own[id]?.relevant === mark.relevant;
    if (taken) delete own[id];
    else own[id] = mark;
    if (!Object.keys(own).length) delete all[query.trim()];
    localStorage.setItem(KEEP + library, JSON.stringify(all));
    this.dispatchEvent(new Event("change"));
    return taken ? null : mark.relevant;
  }

  /** @param {string} library */
  clear(library) {
    localStorage.removeItem(KEEP + library);
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string} library */
  counts(library) {
    const all = Object.values(this.of(library));
    const marks = all.flatMap((own) => Object.values(own));
    return { queries: all.length, marks: marks.length, relevant: marks.filter((mark) => mark.relevant).length };
  }
}
