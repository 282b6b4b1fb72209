/** What settings come to in a library: its own way where nothing else is said. */

/**
 * @typedef {import("./types.js").Settings} Settings
 * @typedef {import("./types.js").SearchWay} SearchWay
 * @typedef {import("./types.js").Scores} Scores
 */

/** @param {Settings} settings @param {SearchWay} way */
export function mode(settings, way) {
  return settings.mode ?? way.mode;
}

/** @param {Settings} settings @param {SearchWay} way */
export function fusion(settings, way) {
  return settings.fusion ?? way.fusion;
}

/** @param {Settings} settings @param {SearchWay} way @returns {Scores} */
export function weights(settings, way) {
  return settings.weights ?? (fusion(settings, way) === way.fusion ? way.weights : way.rules[fusion(settings, way)]);
}

/** @param {Settings} settings @param {SearchWay} way */
export function reranker(settings, way) {
  return settings.reranker ?? way.reranker;
}

/** Weight of the first stage beside a reranker, as far as it is known here. @param {Settings} settings @param {SearchWay} way */
export function firstStage(settings, way) {
  return settings.firstStage ?? way.first_stage ?? 0;
}

/** What differs from the library's own way, in a few words. @param {Settings} settings */
export function described(settings) {
  const parts = [
    settings.mode,
    settings.fusion,
    settings.weights && "own weights",
    settings.reranker === "" ? "no reranker" : settings.reranker,
    Object.values(settings.picks).some((values) => values.length) || settings.where ? "filtered" : null,
  ];
  return parts.filter(Boolean).join(", ") || "as the library";
}

/** The body of a search. @param {Settings} settings @param {SearchWay} way @param {string} query @param {string | null} where */
export function body(settings, way, query, where) {
  const reads = reranker(settings, way);
  const given = {
    query,
    k: settings.k,
    mode: settings.mode,
    fusion: settings.fusion,
    weights: settings.weights,
    reranker: settings.reranker,
    depth: reads ? settings.depth : null,
    first_stage: reads ? settings.firstStage : null,
    where,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null));
}
