/** Ticked values and a typed expression as one filter. */

/**
 * @param {Record<string, import("./types.js").Scalar[]>} picks
 * @param {string} expression
 * @returns {string | null} as `where` of a search
 */
export function joinedFilter(picks, expression) {
  const parts = Object.entries(picks)
    .filter(([, values]) => values.length)
    .map(([field, values]) => `${quotedName(field)} in [${values.map((value) => JSON.stringify(value)).join(", ")}]`);
  const typed = expression.trim();
  if (typed) parts.push(parts.length ? `(${typed})` : typed);
  return parts.length ? parts.join(" and ") : null;
}

/** @param {string} name */
function quotedName(name) {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !WORDS.has(name) ? name : `\`${name.replace(/[\\`]/g, "\\$&")}\``;
}

const WORDS = new Set(["and", "or", "not", "in", "any", "all", "exists", "missing", "true", "false", "null"]);
