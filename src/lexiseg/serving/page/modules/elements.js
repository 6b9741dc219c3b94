// Elements of the page. Texts are set as text, never as HTML: names of files and answers of the server stay words.

export const byId = (id) => document.getElementById(id);

/**
 * Makes an element.
 * @param {string} tag Its name.
 * @param {object} properties Attributes; `on` holds listeners by event; null and false leave an attribute out.
 * @param {...(Node|string|null)} children Elements and texts.
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

function drawn(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Returns a short line as a legend shows it; `kind` is a class of controls.css, such as "stroke-1". */
export function lineSample(kind) {
  const ends = { x1: 1, x2: 29, y1: 5, y2: 5 };
  const lines = [drawn("line", { ...ends, class: "stroke-halo" }), drawn("line", { ...ends, class: kind })];
  return drawn("svg", { width: 30, height: 10, "aria-hidden": "true" }, ...lines);
}

/** Returns a small filled square as a legend shows it. */
export function areaSample(kind) {
  const square = drawn("rect", { width: 14, height: 12, rx: 3, class: kind });
  return drawn("svg", { width: 14, height: 12, "aria-hidden": "true" }, square);
}

/** Lets screen readers say a text without showing it. */
export function speak(text) {
  byId("spoken").textContent = text;
}
