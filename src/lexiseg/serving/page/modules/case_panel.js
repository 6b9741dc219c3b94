// The list of images with the state of each.
import { byId, element } from "./elements.js";
import { counted, number, text } from "./texts.js";

function statusOf(item) {
  if (item.status !== "done") {
    return [item.status === "failed" ? mark("failed") : text(`status.${item.status}`)];
  }
  const { expectedDice, flagged } = item.reading;
  const dice = expectedDice === null ? "" : text("status.dice", { n: number(expectedDice, 2) });
  const marks = [
    item.isCorrected ? mark("corrected") : null,
    flagged ? mark("flagged") : null,
    dice && element("span", { title: text("figure.dice") }, dice),
    item.seen ? element("span", { class: "unseen" }, text("status.seen")) : null,
  ];
  return marks.filter(Boolean);
}

// Long names differ at their ends, so the middle is left out.
const END = 12;
const nameOf = ({ name }) => element(
  "span", { class: "case-name" }, name.length > END ? element("span", { class: "name-start" }, name.slice(0, -END)) : null, name.slice(-END),
);

const mark = (kind) => element("span", { class: `mark ${kind}` }, text(`status.${kind}`));

function countText(cases) {
  const count = (test) => cases.filter(test).length;
  const flagged = count((item) => item.status === "done" && item.steps[0].reading.flagged);
  const pending = count((item) => item.status === "waiting" || item.status === "running");
  const failed = count((item) => item.status === "failed");
  return [
    counted("queue.count", {
      n: cases.length, seen: number(count((item) => item.seen)), flagged: number(flagged),
    }),
    pending ? text("queue.pending", { n: number(pending) }) : null,
    failed ? text("queue.failed", { n: number(failed) }) : null,
  ].filter(Boolean).join(" \u00b7 ");
}

/** Scrolls a list to a row, and the page not at all. */
function scrollTo(place, row) {
  const [top, left] = [row.offsetTop - place.offsetTop, row.offsetLeft - place.offsetLeft];
  const [bottom, right] = [top + row.offsetHeight, left + row.offsetWidth];
  const [endY, endX] = [place.scrollTop + place.clientHeight, place.scrollLeft + place.clientWidth];
  if (top < place.scrollTop || bottom > endY) place.scrollTop = top - 60;
  if (left < place.scrollLeft || right > endX) place.scrollLeft = left - 60;
}

/** Shows the list of images. */
export function showCases(list) {
  const place = byId("cases");
  const hadFocus = place.contains(document.activeElement);
  const sorted = list.sorted;
  const rows = sorted.map((item) => {
    const picture = item.thumbnail ?? element("canvas", { width: 88, height: 88 });
    picture.setAttribute("aria-hidden", "true");
    const button = element(
      "button",
      {
        type: "button", class: item.seen ? "case" : "case new", title: item.name,
        "aria-current": item === list.shown ? "true" : null,
        on: { click: () => list.show(item) },
      },
      picture, nameOf(item),
      element("span", { class: "case-status" }, ...statusOf(item)),
    );
    return element("li", {}, button);
  });
  place.replaceChildren(...rows);
  const current = place.querySelector("[aria-current]");
  if (current) {
    scrollTo(place, current.parentElement);
    if (hadFocus) current.focus({ preventScroll: true });
  }
  byId("queue-count").textContent = countText(list.cases);
  const at = sorted.indexOf(list.shown);
  byId("previous").disabled = at <= 0;
  byId("next").disabled = at >= sorted.length - 1;
}
