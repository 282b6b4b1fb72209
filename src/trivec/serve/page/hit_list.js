/** Hits in their order. When the order changes, each glides to its new place, and keeps what was opened in it. */

import { commonScale } from "./bars.js";
import { element, refill } from "./dom.js";
import { HitView } from "./hit_view.js";

/**
 * @typedef {import("./weighing.js").Weighed} Weighed
 * @typedef {import("./types.js").Hit} Hit
 */

const GLIDE_MS = 220;

export class HitList {
  /** @param {import("./hit_view.js").Around} around */
  constructor(around) {
    this._around = around;
    /** @type {Map<string, HitView>} */
    this._views = new Map();
    /** @type {Weighed[]} */
    this.found = [];
    this.node = element("ol", { class: "hits" });
  }

  /** Hits of another query or library. */
  clear() {
    this._views.clear();
    this.found = [];
    refill(this.node);
  }

  /** @param {Weighed[]} found best first */
  show(found) {
    const before = this._tops();
    const focused = document.activeElement;
    const views = found.map((one) => this._viewOf(one.hit));
    this.found = found;
    this._views = new Map(views.map((view) => [keyOf(view.hit), view]));
    const nodes = views.map((view) => view.node);
    if (nodes.length !== this.node.children.length || nodes.some((node, place) => node !== this.node.children[place])) {
      refill(this.node, ...nodes);
      if (focused instanceof HTMLElement && this.node.contains(focused)) focused.focus({ preventScroll: true });
      this._glide(before);
    }
    this.drawScores();
    this._oneTabStop();
  }

  drawScores() {
    const scale = commonScale(this.found);
    this.found.forEach((one, place) => this.viewOf(one.hit)?.drawScore(one, place + 1, scale));
  }

  /** @param {Hit} hit @returns {HitView | undefined} */
  viewOf(hit) {
    return this._views.get(keyOf(hit));
  }

  /** The view that has the focus, or in which something has it. */
  get focused() {
    return [...this._views.values()].find((view) => view.node.contains(document.activeElement)) ?? null;
  }

  /** Go to the next hit, or the one before. @param {number} step */
  step(step) {
    const views = this.found.map((one) => this.viewOf(one.hit));
    const present = views.indexOf(this.focused ?? undefined);
    const next = views[Math.min(views.length - 1, Math.max(0, present + step))];
    next?.node.focus();
    next?.node.scrollIntoView({ block: "nearest" });
    if (next) this._oneTabStop(next);
    return next !== undefined;
  }

  drawExplanations() {
    for (const view of this._views.values()) view.explained();
  }

  drawMarks() {
    for (const view of this._views.values()) view.drawMark();
  }

  /** @param {Hit} hit */
  places(hit) {
    const place = this.found.findIndex((one) => keyOf(one.hit) === keyOf(hit));
    return { above: this.found[place - 1] ?? null, here: this.found[place], below: this.found[place + 1] ?? null };
  }

  /** @param {Hit} hit */
  _viewOf(hit) {
    const known = this._views.get(keyOf(hit));
    if (!known) return new HitView(hit, this._around);
    known.hit = hit;
    return known;
  }

  /** Tab comes to one hit of the list; arrows go on from there. @param {HitView} [chosen] */
  _oneTabStop(chosen = this.focused ?? this._views.values().next().value) {
    for (const view of this._views.values()) view.node.setAttribute("tabindex", view === chosen ? "0" : "-1");
  }

  _tops() {
    return new Map([...this._views.values()].map(({ node }) => [node, node.getBoundingClientRect().top]));
  }

  /** @param {Map<HTMLElement, number>} before */
  _glide(before) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    for (const { node } of this._views.values()) {
      const from = before.get(node);
      const way = from === undefined ? 0 : from - node.getBoundingClientRect().top;
      if (way) node.animate([{ transform: `translateY(${way}px)` }, { transform: "none" }], { duration: GLIDE_MS, easing: "ease-out" });
    }
  }
}

/** A hit is a passage. @param {Hit} hit */
export function keyOf({ id, passage }) {
  return `${id}#${passage.number}`;
}
