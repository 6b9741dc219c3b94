// Who said what: the steps of an image, to look back and to return to.
import { areaOf } from "./readings.js";
import { element } from "./elements.js";
import { number, text } from "./texts.js";

/** Returns a step as a sentence. */
export function stepText(step) {
  if (step.kind === "start") {
    return text("history.start", { words: step.reading.words.map((word) => word.phrase).join("; ") || "\u2013" });
  }
  if (step.kind === "free") return text("history.free", { text: step.spoken, words: step.to });
  return text(`history.${step.kind}`, { title: step.title, from: step.from, to: step.to });
}

function changeText(step, before) {
  const change = areaOf(step.reading) - areaOf(before.reading);
  if (step.reading.overlap === before.reading.overlap && !change) return text("history.same");
  const sign = change > 0 ? "+" : change < 0 ? "\u2212" : "\u00b1";
  return text("history.area", { change: `${sign}${text("area.px", { n: number(Math.abs(change)) })}` });
}

/** Shows the steps of an image; a click on one returns to it. */
export function showHistory(place, item, onReturn) {
  const rows = item.steps.map((step, position) => element(
    "li", {},
    element(
      "button",
      {
        type: "button", class: position > item.position ? "step undone" : "step",
        "aria-current": position === item.position ? "step" : null, on: { click: () => onReturn(position) },
      },
      element("span", { class: "who" }, text(position ? "history.person" : "history.model")),
      element("span", { class: "step-text" }, stepText(step)),
      position ? element("span", { class: "change" }, changeText(step, item.steps[position - 1])) : null,
    ),
  ));
  place.replaceChildren(...rows);
}
