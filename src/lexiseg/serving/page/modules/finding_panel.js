// The finding in figures and sentences.
import { areaOf } from "./readings.js";
import { element } from "./elements.js";
import { number, percent, text } from "./texts.js";

/** Returns the areas of a reading in one sentence. */
export function findingSentence(item) {
  const { areaPx } = item.reading;
  if (!areaOf(item.reading)) return text("finding.none");
  const parts = Object.entries(areaPx).map(([name, pixels]) =>
    text("finding.area", { name, area: areaText(item, name, pixels) }));
  const sentence = `${parts.join("; ")}.`;
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

function areaText({ reading, result }, name, pixels) {
  const size = reading.areaMm2 ? [text("area.mm2", { n: number(reading.areaMm2[name], 1) })] : [];
  const share = text("area.share", { n: percent(pixels / (result.size[0] * result.size[1]), 1) });
  return [text("area.px", { n: number(pixels) }), ...size, share].join(", ");
}

function figure(title, value, more) {
  const isNumber = /^[\d.,\s%\u00a0]+$/.test(value);
  return element(
    "div", { class: "figure" }, element("dt", {}, title),
    element("dd", { class: isNumber ? "value" : "value text" }, value), element("dd", { class: "more" }, more),
  );
}

function diceFigure(item) {
  const { expectedDice } = item.reading;
  if (expectedDice !== null) return figure(text("figure.dice"), number(expectedDice, 2), text("figure.dice.more"));
  const why = item.result.unlike_training_images?.length ? "figure.dice.unlike" : "figure.dice.none";
  return figure(text("figure.dice"), text("unknown"), text(why));
}

function flagBox({ flagged, reasons }) {
  const list = reasons.length ? element("ul", { lang: "en" }, ...reasons.map((why) => element("li", {}, why))) : null;
  if (flagged) return element("div", { class: "flag" }, element("b", {}, text("flag.yes")), list);
  const more = list ? text("flag.reasons") : text("flag.no.more");
  return element(
    "div", { class: "flag clear" }, element("b", {}, text("flag.no")), element("span", { class: "small" }, more), list,
  );
}

export function showFinding(place, item) {
  const { agreement, overlap, words } = item.reading;
  const figures = [diceFigure(item)];
  if (agreement !== null && words.length) {
    figures.push(figure(text("figure.agreement"), percent(agreement), text("figure.agreement.more")));
  }
  if (overlap !== null) {
    figures.push(figure(text("figure.overlap"), number(overlap, 2), text("figure.overlap.more")));
  }
  const side = words.length ? element("p", { class: "soft small" }, text(`side.${item.result.side}`)) : null;
  const assumed = item.result.assumptions.map((said) => element("p", { class: "soft small", lang: "en" }, said));
  place.replaceChildren(
    element("p", {}, findingSentence(item)), flagBox(item.reading),
    element("dl", { class: "figures" }, ...figures), ...(side ? [side] : []), ...assumed,
  );
}
