// Keys of the page. Single keys can be switched off, for people who speak to their computer.
import { byId, element } from "./elements.js";
import { text } from "./texts.js";

const STORED = "lexiseg.keys";
const KEYS = [
  [["n", "j"], "key.next"], [["p", "k"], "key.previous"], [["1", "2", "3"], "key.word"], [["s", "/"], "key.say"],
  [["m"], "key.mask"], [["+", "-", "0"], "key.zoom"], [["u", "r"], "key.undo"], [["?"], "key.help"],
];

export function showKeys() {
  const rows = KEYS.flatMap(([keys, what]) => [
    element("dt", {}, ...keys.flatMap((key, i) => [i ? " " : "", element("kbd", {}, key)])),
    element("dd", {}, text(what)),
  ]);
  byId("key-list").replaceChildren(...rows);
}

/**
 * @param {Record<string, () => void>} actions By key.
 * @param {(position: number) => void} onWord Gets the position of a word, from 0.
 * @param {{undo: () => void, redo: () => void}} history For Ctrl+Z and Ctrl+Shift+Z, which are always on.
 */
export function startKeys(actions, onWord, history) {
  const on = byId("keys-on");
  on.checked = localStorage.getItem(STORED) !== "off";
  on.addEventListener("change", () => localStorage.setItem(STORED, on.checked ? "on" : "off"));
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches?.("input:not([type=range], [type=checkbox]), select, textarea");
    if (typing || document.querySelector("dialog[open]")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if ((event.ctrlKey || event.metaKey) && key === "z") {
      event.preventDefault();
      if (event.shiftKey) history.redo();
      else history.undo();
    }
    if (event.ctrlKey || event.metaKey || event.altKey || !on.checked) return;
    const act = actions[key] ?? (/^[1-9]$/.test(key) ? () => onWord(Number(key) - 1) : null);
    if (!act) return;
    event.preventDefault();
    act();
  });
}
