/** Documents as points of a plane. Colours and shapes say the value of a field; near points are alike. */

import { drawn, element, newId, refill } from "./dom.js";
import { count, percent } from "./words.js";

/**
 * @typedef {import("./types.js").DocumentMap} DocumentMap
 * @typedef {{x: number, y: number, node: SVGElement, group: number, place: number}} Dot
 */

const WIDTH = 640;
const HEIGHT = 480;
const MARGIN = 18;
const COLOURS = 8;
const REACH = 24;
const SHAPES = [
  "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0", "M-3.6 -3.6H3.6V3.6H-3.6Z", "M0 -4.8L4.6 3.4H-4.6Z", "M0 -5L5 0L0 5L-5 0Z",
  "M0 4.8L4.6 -3.4H-4.6Z", "M-1.5 -4.5H1.5V-1.5H4.5V1.5H1.5V4.5H-1.5V1.5H-4.5V-1.5H-1.5Z", "M-5 -2.2H5V2.2H-5Z", "M-2.2 -5H2.2V5H-2.2Z",
];

export class MapView {
  /** @param {(title: string) => void} search */
  constructor(search) {
    this._search = search;
    /** @type {Dot[]} */
    this._dots = [];
    /** @type {Dot | null} */
    this._present = null;
    const told = newId("map-told");
    this._told = element("p", { class: "map-told", id: told, "aria-live": "polite" });
    this._drawing = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" });
    this._plane = element("div", {
      class: "plane", tabindex: "0", role: "application", "aria-roledescription": "map", "aria-describedby": told,
      "aria-label": "Map of the documents. Arrow keys go from one to the next, Enter searches for it.",
      onpointermove: (/** @type {PointerEvent} */ event) => this._hover(event),
      onpointerleave: () => this._choose(null),
      onclick: () => this._open(),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this._key(event),
    }, this._drawing);
    this._field = element("select", { onchange: () => this._colour() });
    this._legend = element("ul", { class: "legend" });
    this._note = element("p", { class: "hint", text: "Drawing …" });
    this.node = element("section", { class: "map" }, element("h3", { text: "Map" }), this._note,
      element("div", { class: "key" },
        element("label", { class: "field" }, element("span", { text: "Colours" }), this._field), this._legend),
      this._plane, this._told);
  }

  /** @param {string} message */
  fail(message) {
    refill(this.node, element("h3", { text: "Map" }), element("p", { class: "error", role: "alert", text: message }));
  }

  /** @param {DocumentMap} found */
  draw(found) {
    this._map = found;
    const { points, documents, shares, fields } = found;
    const sample = points.length < documents ? `A sample of ${count(points.length)} of ${count(documents)} documents` : `All ${count(documents)} documents`;
    this._note.textContent = `${sample} by their dense vectors, along the two directions in which these differ most. `
      + `The axes hold ${percent(shares[0])} and ${percent(shares[1])} of the variance: far is far, near may be near by chance.`;
    const names = Object.keys(fields);
    refill(this._field, ...[...names, "nothing"].map((name) => element("option", { text: name })));
    this._field.value = names.includes("lang") ? "lang" : names[0] ?? "nothing";
    const place = placer(points);
    this._dots = points.map((point, number) => ({ ...place(point), node: drawn("path", {}), group: 0, place: number }));
    this._ring = drawn("circle", { class: "ring", r: 9, cx: -99, cy: -99 });
    refill(this._drawing, ...this._dots.map((dot) => dot.node), this._ring);
    this._colour();
    this._choose(null);
  }

  /** Colour the points by the field that is chosen; the rarest values share the last colour. */
  _colour() {
    const values = this._map?.fields[this._field.value] ?? [];
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const value of values) if (value !== null) counts.set(String(value), (counts.get(String(value)) ?? 0) + 1);
    const ranked = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
    const named = ranked.slice(0, ranked.length > COLOURS ? COLOURS - 1 : COLOURS).map(([value]) => value);
    for (const dot of this._dots) {
      const value = values[dot.place] ?? null;
      const group = value === null ? -1 : named.indexOf(String(value));
      dot.group = group >= 0 ? group : COLOURS;
      dot.node.setAttribute("class", `dot group-${dot.group}`);
      dot.node.setAttribute("d", SHAPES[dot.group] ?? "M-2.5 0A2.5 2.5 0 1 0 2.5 0A2.5 2.5 0 1 0 -2.5 0");
      dot.node.setAttribute("transform", `translate(${dot.x.toFixed(1)} ${dot.y.toFixed(1)})`);
    }
    const others = this._dots.filter((dot) => dot.group === COLOURS).length;
    const entries = named.map((value, group) => this._entry(value, group, counts.get(value) ?? 0));
    if (others && named.length) entries.push(this._entry("others", COLOURS, others));
    refill(this._legend, ...entries);
  }

  /** @param {string} value @param {number} group @param {number} number */
  _entry(value, group, number) {
    const button = element("button", {
      type: "button", "aria-pressed": "false",
      onclick: () => {
        const chosen = button.getAttribute("aria-pressed") !== "true";
        for (const other of this._legend.querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
        button.setAttribute("aria-pressed", String(chosen));
        for (const dot of this._dots) dot.node.classList.toggle("faint", chosen && dot.group !== group);
      },
    }, drawn("svg", { viewBox: "-6 -6 12 12", "aria-hidden": "true" },
      drawn("path", { class: `dot group-${group}`, d: SHAPES[group] ?? "M-2.5 0A2.5 2.5 0 1 0 2.5 0A2.5 2.5 0 1 0 -2.5 0" })),
    element("bdi", { text: value }), element("small", { text: count(number) }));
    return element("li", {}, button);
  }

  /** @param {PointerEvent} event */
  _hover(event) {
    const box = this._plane.getBoundingClientRect();
    const scale = WIDTH / box.width;
    const at = { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
    const near = nearest(this._dots, (dot) => Math.hypot(dot.x - at.x, dot.y - at.y));
    this._choose(near && Math.hypot(near.x - at.x, near.y - at.y) < REACH * Math.max(1, scale) ? near : null);
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Enter") this._open();
    if (!way) return;
    event.preventDefault();
    const from = this._present;
    if (!from) return this._choose(nearest(this._dots, (dot) => Math.hypot(dot.x - WIDTH / 2, dot.y - HEIGHT / 2)));
    const next = nearest(this._dots, (dot) => {
      const along = (dot.x - from.x) * way[0] + (dot.y - from.y) * way[1];
      const aside = Math.abs((dot.x - from.x) * way[1]) + Math.abs((dot.y - from.y) * way[0]);
      return dot !== from && along > 0 && along >= aside / 2 ? along + 2 * aside : Infinity;
    });
    if (next) this._choose(next);
  }

  /** @param {Dot | null} dot */
  _choose(dot) {
    this._present = dot;
    this._ring?.setAttribute("cx", String(dot ? dot.x : -99));
    this._ring?.setAttribute("cy", String(dot ? dot.y : -99));
    if (!dot || !this._map) {
      this._told.replaceChildren("Point at a document to see its title; click, or press Enter, to search for it.");
      return;
    }
    const { id, title } = this._map.points[dot.place];
    const value = this._map.fields[this._field.value]?.[dot.place];
    this._told.replaceChildren(element("bdi", { class: "map-title", text: title }), " ",
      element("bdi", { class: "id", text: value === null || value === undefined ? id : `${id}, ${value}` }));
  }

  _open() {
    if (this._present && this._map) this._search(this._map.points[this._present.place].title);
  }
}

/** From coordinates to places in the drawing, the same scale along both axes. @param {{x: number, y: number}[]} points */
function placer(points) {
  const [xs, ys] = [points.map((point) => point.x), points.map((point) => point.y)];
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = Math.min((WIDTH - 2 * MARGIN) / (right - left || 1), (HEIGHT - 2 * MARGIN) / (high - low || 1));
  return (/** @type {{x: number, y: number}} */ { x, y }) => ({
    x: WIDTH / 2 + (x - (left + right) / 2) * scale,
    y: HEIGHT / 2 - (y - (low + high) / 2) * scale,
  });
}

/** @param {Dot[]} dots @param {(dot: Dot) => number} distance @returns {Dot | null} */
function nearest(dots, distance) {
  let best = null;
  let least = Infinity;
  for (const dot of dots) {
    const way = distance(dot);
    if (way < least) [best, least] = [dot, way];
  }
  return best;
}
