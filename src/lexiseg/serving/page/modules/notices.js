// Messages at the top of the page. Each stays until it is closed or its cause is gone.
import { byId, element } from "./elements.js";
import { text } from "./texts.js";

const shown = new Map();

/**
 * Shows a message; a second one with the same key replaces the first.
 * @param {string} key What it is about.
 * @param {string} message The text.
 * @param {{bad?: boolean, action?: {label: string, run: () => void}}} options
 */
export function notice(key, message, { bad = false, action = null } = {}) {
  clearNotice(key);
  const close = element(
    "button", { type: "button", class: "button", on: { click: () => clearNotice(key) } }, text("close"),
  );
  close.setAttribute("aria-label", text("dismiss"));
  const act = action && element(
    "button", { type: "button", class: "button primary", on: { click: () => { clearNotice(key); action.run(); } } },
    action.label,
  );
  const made = element(
    "div", { class: bad ? "notice bad" : "notice" }, element("p", {}, message),
    element("div", { class: "buttons" }, act, close),
  );
  shown.set(key, made);
  byId("notices").append(made);
}

export function clearNotice(key) {
  shown.get(key)?.remove();
  shown.delete(key);
}
