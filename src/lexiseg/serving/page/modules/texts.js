// Texts in the language of the reader.
import english from "../texts/en.js";
import german from "../texts/de.js";

const LANGUAGES = { en: { name: "English", texts: english }, de: { name: "Deutsch", texts: german } };
const STORED = "lexiseg.language";

let language = chosenLanguage();

function chosenLanguage() {
  const wanted = [localStorage.getItem(STORED), ...navigator.languages.map((tag) => tag.slice(0, 2))];
  return wanted.find((tag) => Object.hasOwn(LANGUAGES, tag ?? "")) ?? "en";
}

export const languages = () => Object.entries(LANGUAGES).map(([tag, { name }]) => ({ tag, name }));
export const currentLanguage = () => language;

export function setLanguage(tag) {
  language = tag;
  localStorage.setItem(STORED, tag);
  showTexts();
}

/** Returns a text with its {words} filled in. */
export function text(key, words = {}) {
  const found = LANGUAGES[language].texts[key];
  if (found === undefined) throw new Error(`No text ${key} in ${language}`);
  return found.replace(/\{(\w+)\}/g, (_, word) => String(words[word]));
}

/** Returns the text of a number of things; `words.n` decides between "one" and "other". */
export function counted(key, words) {
  return text(`${key}.${new Intl.PluralRules(language).select(words.n)}`, { ...words, n: number(words.n) });
}

/** Fills in the fixed texts of the page. */
export function showTexts(root = document) {
  document.documentElement.lang = language;
  for (const place of root.querySelectorAll("[data-text]")) place.textContent = text(place.dataset.text);
  for (const place of root.querySelectorAll("[data-text-label]")) {
    place.setAttribute("aria-label", text(place.dataset.textLabel));
  }
}

export const number = (value, digits = 0) =>
  value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const percent = (share, digits = 0) =>
  share.toLocaleString(language, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits });
