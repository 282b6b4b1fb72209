/** What each signal adds to a hit, as bars on one scale for all hits, with numbers beside them. */

import { element } from "./dom.js";
import { SIGNALS, SIGNAL_MEANINGS, SIGNAL_NAMES, percent, score } from "./words.js";

/**
 * @typedef {import("./weighing.js").Weighed} Weighed
 * @typedef {{low: number, high: number}} Scale
 */

/**
 * The scale on which all bars of some hits fit.
 *
 * @param {Weighed[]} found
 * @returns {Scale}
 */
export function commonScale(found) {
  const values = found.flatMap((one) => Object.values(one.contributions));
  return { low: Math.min(0, ...values), high: Math.max(1e-6, ...values) };
}

/**
 * @param {Weighed} one
 * @param {Scale} scale
 * @param {import("./types.js").Scores} raw scores by all signals that are known
 * @returns {HTMLElement}
 */
export function bars(one, scale, raw) {
  const shown = SIGNALS.filter((signal) => signal in one.contributions || one.unknown.includes(signal));
  const rows = shown.map((signal) => {
    const value = one.contributions[signal];
    if (value === undefined) return row(signal, "…", "not known until the search has answered", null);
    const own = raw[signal] ?? one.hit.signals[signal];
    const title = own === undefined ? SIGNAL_MEANINGS[signal] : `${SIGNAL_MEANINGS[signal]}; raw score ${score(own)}`;
    return row(signal, score(value), title, extent(value, scale));
  });
  const { reranking } = one.hit;
  if (reranking) {
    const title = `${reranking.model}: logit ${score(reranking.score)}`;
    rows.push(row("rerank", percent(reranking.probability), title, { start: 0, width: reranking.probability }));
  }
  return element("dl", { class: reranking ? "bars reranked" : "bars" }, ...rows.flat());
}

/** Where a bar begins and how wide it is, as shares of the whole. @param {number} value @param {Scale} scale */
function extent(value, { low, high }) {
  const whole = high - low;
  const start = (Math.min(value, 0) - low) / whole;
  return { start, width: Math.abs(value) / whole };
}

/**
 * @param {string} signal
 * @param {string} text
 * @param {string} title
 * @param {{start: number, width: number} | null} bar
 */
function row(signal, text, title, bar) {
  const vars = bar && { start: `${(bar.start * 100).toFixed(2)}%`, width: `${(bar.width * 100).toFixed(2)}%` };
  const track = element("span", { class: "track", "aria-hidden": "true" },
    bar ? element("span", { class: "bar", vars: vars ?? {} }) : element("span", { class: "bar unknown" }));
  return [
    element("dt", { class: signal, text: SIGNAL_NAMES[signal], title }),
    element("dd", { class: signal, title }, track, element("span", { class: "number", text })),
  ];
}
