// Light and dark colours: those of the system, until the reader chooses.
import { byId } from "./elements.js";
import { text } from "./texts.js";

const STORED = "lexiseg.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

const current = () => localStorage.getItem(STORED) ?? (system.matches ? "dark" : "light");
const other = () => (current() === "dark" ? "light" : "dark");

export function showTheme() {
  document.documentElement.dataset.theme = current();
  byId("theme").setAttribute(
    "aria-label", text("theme.label", { name: text(`theme.${current()}`), other: text(`theme.${other()}`) }),
  );
}

export function startTheme() {
  byId("theme").addEventListener("click", () => {
    localStorage.setItem(STORED, other());
    showTheme();
  });
  system.addEventListener("change", showTheme);
  showTheme();
}
