// The list from which a person chooses the right phrase of a word.
import { element } from "./elements.js";
import { percent, text } from "./texts.js";

/**
 * Returns a listbox with the phrases of a factor and their probabilities.
 * @param {object} content
 * @param {string} content.title Title of the factor.
 * @param {{index: number, phrase: string, probability: number}[]} content.phrases
 * @param {number} content.selected Index of the phrase that stands now.
 * @param {boolean} content.canWithdraw Whether a person's word stands.
 * @param {{onChoose: (phrase: string|null) => void, onLook: (index: number) => void, onClose: () => void}} listeners
 */
export function phraseList({ title, phrases, selected, canWithdraw }, { onChoose, onLook, onClose }) {
  const options = phrases.map(({ index, phrase, probability }) => element(
    "li",
    { role: "option", id: `phrase-${index}`, class: "phrase", "aria-selected": String(index === selected), lang: "en" },
    element("span", { class: "phrase-text" }, phrase), element("span", { class: "share" }, percent(probability)),
    element("progress", { class: "meter", max: 1, value: probability, "aria-hidden": "true" }),
  ));
  const values = phrases.map(({ phrase }) => phrase);
  if (canWithdraw) {
    options.push(element(
      "li", { role: "option", id: "phrase-withdraw", class: "phrase withdraw", "aria-selected": "false" },
      element("span", { class: "phrase-text" }, text("word.withdraw")),
    ));
    values.push(null);
  }
  const list = element(
    "ul", { role: "listbox", class: "phrases", tabindex: 0, "aria-label": text("word.choose", { title }) }, ...options,
  );
  let active = -1;
  const look = (position) => {
    options[active]?.classList.remove("active");
    active = (position + options.length) % options.length;
    options[active].classList.add("active");
    list.setAttribute("aria-activedescendant", options[active].id);
    options[active].scrollIntoView({ block: "nearest" });
    if (values[active] !== null) onLook(phrases[active].index);
  };
  const act = {
    ArrowDown: () => look(active + 1), ArrowUp: () => look(active - 1), Home: () => look(0), End: () => look(-1),
    Enter: () => onChoose(values[active]), " ": () => onChoose(values[active]), Escape: onClose,
  };
  list.addEventListener("keydown", (event) => {
    const { key, ctrlKey, metaKey, altKey } = event;
    if (ctrlKey || metaKey || altKey || key === "Tab") return;
    event.stopPropagation();
    event.preventDefault();
    if (act[key]) act[key]();
    else if (key.length === 1) look(nextBeginningWith(values, key, active));
  });
  options.forEach((option, i) => {
    option.addEventListener("pointermove", () => active === i || look(i));
    option.addEventListener("click", () => onChoose(values[i]));
  });
  list.addEventListener("focusout", ({ relatedTarget }) => {
    // Another window may have the focus for a while.
    if (document.hasFocus() && !list.contains(relatedTarget)) onClose();
  });
  // To be called when the list is on the page.
  list.begin = () => {
    list.focus();
    look(Math.max(0, phrases.findIndex(({ index }) => index === selected)));
  };
  return list;
}

function nextBeginningWith(values, letter, from) {
  for (let i = 1; i <= values.length; i += 1) {
    const at = (from + i) % values.length;
    if (values[at]?.toLowerCase().startsWith(letter.toLowerCase())) return at;
  }
  return Math.max(0, from);
}
