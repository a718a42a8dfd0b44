// SPDX-License-Identifier: Apache-2.0
// Elements of the page, made without HTML in strings, so that no name of a file is ever markup.

/**
 * A new element.
 * @param {string} tag its name.
 * @param {object} given attributes; `on` has listeners, `class` and `text` are what they say;
 *   what is null or false is left out, true is an attribute without a value.
 * @param {...(Node|string|null|Array)} children in their order; null is passed by.
 * @returns {HTMLElement}
 */
export function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name === "on") {
      for (const [event, heard] of Object.entries(value)) element.addEventListener(event, heard);
    } else if (name === "text") {
      element.textContent = value;
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  fill(element, children);
  return element;
}

/** Put children at the end of an element; null and undefined are passed by. */
export function fill(element, children) {
  for (const child of [children].flat(Infinity)) {
    if (child !== null && child !== undefined) element.append(child);
  }
}

/** Let an element have these children alone. */
export function refill(element, ...children) {
  element.replaceChildren();
  fill(element, children);
}

/** A button that does something. */
export function button(text, pressed, given = {}) {
  return make("button", { type: "button", text, ...given, on: { click: pressed } });
}

/** Text in another language than the page's, such as what the server says in English. */
export function english(text, tag = "span", given = {}) {
  return make(tag, { lang: "en", text, ...given });
}

/** An element drawn as SVG. */
export function drawn(tag, given = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(given)) element.setAttribute(name, value);
  fill(element, children);
  return element;
}

let numbered = 0;

/** An id that no other element has. */
export function freshId() {
  numbered += 1;
  return `n${numbered}`;
}
