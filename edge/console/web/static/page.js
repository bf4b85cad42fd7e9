/* What the server gave the page: the words and the classes. And how to make elements without markup. */

export const page = JSON.parse(document.getElementById("page").textContent);

export const $ = (id) => document.getElementById(id);

/** A word of the catalogue, with its {places} filled in; the key itself where there is none. */
export function say(table, key, places = {}) {
  const text = page.words[table]?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => places[name] ?? whole);
}

/** Whether the catalogue has such a word. */
export const has = (table, key) => page.words[table]?.[key] !== undefined;

/** An element. Texts go in as text, never as markup: names come from outside. */
export function el(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "data") Object.assign(made.dataset, value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/** An icon of the sprite; it is beside a word, so it is hidden from readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `/static/icons.svg#${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** The icon of a class; one that this page does not know is shown as a fault, for unknown is not normal. */
export const classIcon = (name) => icon(page.classes.includes(name) ? name : "fault");
