/** Making elements. Texts become text nodes; nothing here reads markup. */

/**
 * @typedef {Node | string | null | undefined | false} Child
 */

/**
 * An element.
 *
 * @param {string} tag
 * @param {Record<string, any>} [properties] attributes; `on...` are listeners, `text` is its text, `vars` are custom
 *   properties of CSS, and `value` and `checked` are what a field holds. What is null or false is left out.
 * @param {...Child} children
 * @returns {any}
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  return filled(node, properties, children);
}

/**
 * The same for a drawing.
 *
 * @param {string} tag
 * @param {Record<string, any>} [properties]
 * @param {...Child} children
 * @returns {any}
 */
export function drawn(tag, properties = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

/**
 * Put other children in the place of those that are there.
 *
 * @param {Element} node
 * @param {...Child} children
 */
export function refill(node, ...children) {
  node.replaceChildren(.../** @type {(Node | string)[]} */ (children.filter(isThere)));
}

/** @param {Element & {style: CSSStyleDeclaration}} node @param {Record<string, string | number>} values */
export function setVars(node, values) {
  for (const [name, value] of Object.entries(values)) node.style.setProperty(`--${name}`, String(value));
}

/** @param {any} node @param {Record<string, any>} properties @param {Child[]} children */
function filled(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) set(node, name, value);
  node.append(...children.filter(isThere));
  if ("value" in properties && properties.value !== null) node.value = properties.value;
  return node;
}

/** @param {any} node @param {string} name @param {any} value */
function set(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
  else if (name === "text") node.textContent = value;
  else if (name === "vars") setVars(node, value);
  else if (name === "checked") node.checked = value;
  else if (name !== "value") node.setAttribute(name, value === true ? "" : String(value));
}

/** @param {Child} child */
function isThere(child) {
  return child !== null && child !== undefined && child !== false;
}

let last = 0;

/** A new id for an element, so that another can name it. */
export function newId(/** @type {string} */ kind) {
  last += 1;
  return `${kind}-${last}`;
}
