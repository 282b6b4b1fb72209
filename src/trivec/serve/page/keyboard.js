/** The keys of the page. */

import { showKeys } from "./dialogs.js";

/**
 * @param {HTMLInputElement} field of the query
 * @param {() => import("./column.js").Column[]} columns
 */
export function bindKeys(field, columns) {
  const current = () => columns().find((column) => column.list.focused) ?? columns()[0];
  const marking = (/** @type {boolean} */ relevant) => () => {
    const view = current()?.list.focused;
    if (view) current()?.mark(view.hit, relevant);
    return view !== null && view !== undefined;
  };
  /** @type {Record<string, () => boolean | void>} */
  const actions = {
    "/": () => field.select(),
    "?": showKeys,
    j: () => current()?.list.step(1),
    k: () => current()?.list.step(-1),
    ArrowDown: () => Boolean(current()?.list.focused) && current()?.list.step(1),
    ArrowUp: () => Boolean(current()?.list.focused) && current()?.list.step(-1),
    r: marking(true),
    n: marking(false),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") return leave(event, current());
    if (event.target === field) {
      if (event.key === "ArrowDown" && current()?.list.step(1)) event.preventDefault();
      return;
    }
    if (isField(event.target)) return;
    if (event.key === "Enter" && isHit(event.target)) {
      current()?.list.focused?.toggle();
      event.preventDefault();
    } else if (actions[event.key] && actions[event.key]() !== false) event.preventDefault();
  });
}

/** Close what is open, from the inside out. @param {KeyboardEvent} event @param {import("./column.js").Column | undefined} column */
function leave(event, column) {
  const view = column?.list.focused;
  if (view?.isOpen) {
    view.toggle();
    view.node.focus();
  } else if (event.target instanceof HTMLElement) event.target.blur();
}

/** @param {EventTarget | null} target */
function isField(target) {
  return target instanceof HTMLElement && target.matches("input, select, textarea, [role=application]");
}

/** @param {EventTarget | null} target */
function isHit(target) {
  return target instanceof HTMLElement && target.matches(".hit");
}
