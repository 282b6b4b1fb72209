/** Two columns side by side: where the hits of one stand in the other. */

/**
 * @typedef {import("./column.js").Column} Column
 *
 * @param {Column[]} columns one or two
 */
export function showChanges(columns) {
  const ranks = columns.map(ranksOf);
  const both = columns.length === 2 && ranks.every((one) => one.size > 0);
  const shared = both ? [...ranks[0].keys()].filter((id) => ranks[1].has(id)).length : 0;
  columns.forEach((column, side) => {
    const other = ranks[1 - side];
    for (const { hit } of column.list.found) {
      const view = column.list.viewOf(hit);
      if (both) view?.drawChange(...change(ranks[side].get(hit.id) ?? 0, other.get(hit.id), side ? "left" : "right"));
      else view?.drawChange("", "", "");
    }
    column.tellShared(both ? `${shared} of ${ranks[side].size} in both` : "");
  });
}

/** The best rank of each document. @param {Column} column */
function ranksOf(column) {
  /** @type {Map<string, number>} */
  const ranks = new Map();
  column.list.found.forEach(({ hit }, place) => {
    if (!ranks.has(hit.id)) ranks.set(hit.id, place + 1);
  });
  return ranks;
}

/**
 * What is shown, its kind, and what is read out.
 *
 * @param {number} here
 * @param {number | undefined} there
 * @param {string} side of the other column
 * @returns {[string, string, string]}
 */
function change(here, there, side) {
  if (there === undefined) return ["only here", "only", "only here"];
  const way = there - here;
  if (!way) return ["=", "same", `same rank on the ${side}`];
  const places = Math.abs(way) === 1 ? "1 place" : `${Math.abs(way)} places`;
  return way > 0
    ? [`▲ ${way}`, "up", `${places} higher than on the ${side}`]
    : [`▼ ${-way}`, "down", `${places} lower than on the ${side}`];
}
