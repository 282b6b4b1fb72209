/** The state of the page in its address, so that a search can be sent to somebody. */

import { SIGNALS } from "./words.js";

/**
 * @typedef {import("./types.js").Settings} Settings
 *
 * @typedef {object} State
 * @property {string} query
 * @property {"search" | "library"} view
 * @property {Settings[]} columns one, or two that are compared
 */

export const HITS = 10;
const SECOND = "b.";
const PICK = "in.";

/** @param {string} library @returns {Settings} */
export function plainSettings(library) {
  return {
    library,
    mode: null,
    fusion: null,
    weights: null,
    reranker: null,
    depth: null,
    firstStage: null,
    k: HITS,
    picks: {},
    where: "",
  };
}

/** @param {string} search the part of an address behind ? @param {string} library if none is named @returns {State} */
export function readState(search, library) {
  const given = new URLSearchParams(search);
  const columns = [readSettings(given, "", library)];
  if (given.has(`${SECOND}library`)) columns.push(readSettings(given, SECOND, library));
  return {
    query: given.get("q") ?? "",
    view: given.get("view") === "library" ? "library" : "search",
    columns,
  };
}

/** @param {State} state @returns {string} */
export function writeState({ query, view, columns }) {
  const found = new URLSearchParams();
  if (query) found.set("q", query);
  if (view !== "search") found.set("view", view);
  columns.forEach((settings, number) => writeSettings(found, number ? SECOND : "", settings));
  return `?${found}`;
}

/** @param {URLSearchParams} given @param {string} prefix @param {string} library @returns {Settings} */
function readSettings(given, prefix, library) {
  const get = (/** @type {string} */ name) => given.get(prefix + name);
  return {
    library: get("library") ?? library,
    mode: get("mode"),
    fusion: get("fusion"),
    weights: readWeights(get("weights")),
    reranker: get("reranker"),
    depth: readNumber(get("depth")),
    firstStage: readNumber(get("first_stage")),
    k: Math.min(100, Math.max(1, Math.round(readNumber(get("k")) ?? HITS))),
    picks: readPicks(given, prefix + PICK),
    where: get("where") ?? "",
  };
}

/** @param {URLSearchParams} found @param {string} prefix @param {Settings} settings */
function writeSettings(found, prefix, settings) {
  const set = (/** @type {string} */ name, /** @type {string | number | null} */ value) => {
    if (value !== null) found.set(prefix + name, String(value));
  };
  set("library", settings.library);
  set("mode", settings.mode);
  set("fusion", settings.fusion);
  set("weights", settings.weights && SIGNALS.filter((name) => name in (settings.weights ?? {}))
    .map((name) => `${name}:${settings.weights?.[name]}`).join(","));
  set("reranker", settings.reranker);
  set("depth", settings.depth);
  set("first_stage", settings.firstStage);
  set("k", settings.k === HITS ? null : settings.k);
  for (const [field, values] of Object.entries(settings.picks)) {
    for (const value of values) found.append(prefix + PICK + field, JSON.stringify(value));
  }
  set("where", settings.where || null);
}

/** @param {string | null} text */
function readNumber(text) {
  const value = text === null || text.trim() === "" ? NaN : Number(text);
  return Number.isFinite(value) && value >= 0 ? value : null;
}

/** @param {string | null} text @returns {import("./types.js").Scores | null} */
function readWeights(text) {
  if (text === null) return null;
  /** @type {import("./types.js").Scores} */
  const weights = {};
  for (const part of text.split(",")) {
    const [name, value] = part.split(":");
    const number = readNumber(value ?? null);
    if (SIGNALS.includes(/** @type {any} */ (name)) && number !== null) {
      weights[/** @type {import("./types.js").Signal} */ (name)] = number;
    }
  }
  return Object.keys(weights).length ? weights : null;
}

/** @param {URLSearchParams} given @param {string} prefix */
function readPicks(given, prefix) {
  /** @type {Record<string, import("./types.js").Scalar[]>} */
  const picks = {};
  for (const [name, text] of given) {
    if (!name.startsWith(prefix)) continue;
    try {
      (picks[name.slice(prefix.length)] ??= []).push(JSON.parse(text));
    } catch {
      continue; // an address that was cut off
    }
  }
  return picks;
}
