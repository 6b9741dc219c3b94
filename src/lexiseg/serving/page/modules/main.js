// The page: images come in, the model reads them, a person looks and corrects words.
import { Catalogue } from "./catalogue.js";
import { CaseList } from "./cases.js";
import { showCases } from "./case_panel.js";
import { canRedo, canUndo, sayFreely, sayPhrase } from "./corrections.js";
import { byId, element, speak } from "./elements.js";
import { isMoved, saveDicom, saveJson, saveMask, saveOneJson, savePicture } from "./exports.js";
import { findingSentence, showFinding } from "./finding_panel.js";
import { showHistory, stepText } from "./history_panel.js";
import { startIntake } from "./intake.js";
import { showKeys, startKeys } from "./keys.js";
import { clearNotice, notice } from "./notices.js";
import { startOffline } from "./offline.js";
import { PredictionQueue } from "./prediction_queue.js";
import { statedIn } from "./readings.js";
import { Replaced } from "./server.js";
import { Stage } from "./stage.js";
import { counted, currentLanguage, languages, number, percent, setLanguage, showTexts, text } from "./texts.js";
import { showTheme, startTheme } from "./theme.js";
import { WordPanel } from "./word_panel.js";

const list = new CaseList();
const catalogue = new Catalogue();
const queue = new PredictionQueue(list, () => byId("model").value, catalogue);
const stage = new Stage();

const words = new WordPanel(byId("words"), {
  onChoose: (factor, phrase) => correct((item, model) => sayPhrase(item, model, factor, phrase)),
  // The server has the maps of the present version only.
  onLook: (factor, index) => isOutdated(list.shown) || stage.showZone(modelOf(list.shown), factor, index),
  onLeave: () => stage.hideZone(),
});

const modelOf = (item) => item.offer;
const isOutdated = (item) => catalogue.isOutdated(item);

/** Shows everything anew. */
function show() {
  const item = list.shown;
  document.body.dataset.state = list.cases.length ? "filled" : "empty";
  if (!item) return;
  showCases(list);
  byId("case-name").textContent = item.name;
  showFailure(item);
  const read = item.status === "done";
  for (const part of ["finding-part", "words-part", "history-part", "export-part", "provenance"]) {
    byId(part).hidden = !read;
  }
  byId("case-facts").textContent = read ? facts(item) : "";
  showReplaced();
  byId("words-part").classList.toggle("working", item.busy);
  byId("model").disabled = list.cases.some(({ busy }) => busy);
  byId("export-all").disabled = !list.cases.some(({ status }) => status === "done");
  stage.show(item, read ? findingSentence(item) : "").catch(() => notice("stage", text("error.decode"), { bad: true }));
  if (!read) return;
  showFinding(byId("finding"), item);
  words.show(item, modelOf(item));
  showSay(item);
  showHistory(byId("history"), item, (position) => goTo(item, position));
  byId("undo").disabled = item.busy || !canUndo(item);
  byId("redo").disabled = item.busy || !canRedo(item);
  showExport(item);
}

function facts({ result, model }) {
  const [rows, columns] = result.preview.size;
  const dicom = result.dicom ? ` \u00b7 ${result.dicom.modality || "DICOM"}` : "";
  return `${number(columns)} \u00d7 ${number(rows)}${dicom} \u00b7 ${model.name}`;
}

let saidOutdated = 0;

/** Says how many images an earlier version of their model read, where that number has changed. */
function showReplaced() {
  const n = list.cases.filter(isOutdated).length;
  if (n === saidOutdated) return;
  saidOutdated = n;
  clearNotice("replaced");
  if (!n) return;
  const readAgain = () => {
    if (!forget(list.cases.filter(isOutdated))) saidOutdated = 0;
    show();
  };
  notice("replaced", counted("replaced", { n }), { bad: true, action: { label: text("replaced.again"), run: readAgain } });
}

/** Lets images be read again; asks first where corrections would be lost. Returns whether it is done. */
function forget(items) {
  const n = items.filter((item) => item.isCorrected).length;
  if (n && !confirm(counted("forget", { n }))) return false;
  for (const item of items) item.reset();
  queue.start();
  return true;
}

function showFailure(item) {
  const place = byId("failure");
  place.hidden = item.status !== "failed";
  if (place.hidden) return;
  const { code, message, again } = item.error;
  const tryAgain = again && element(
    "button", { type: "button", class: "button primary", on: { click: () => queue.tryAgain(item) } }, text("error.retry"),
  );
  place.replaceChildren(
    ...[element("b", {}, text("error.case")), element("p", { lang: "en" }, message), element("code", {}, code), tryAgain]
      .filter(Boolean),
  );
}

function showSay(item) {
  const model = modelOf(item);
  byId("say").hidden = !model.can_refine;
  byId("words-hint").hidden = !model.can_refine;
  byId("say-impossible").hidden = model.can_refine || !model.vocabulary;
  byId("say-text").disabled = item.busy;
  const example = model.vocabulary?.factors.at(-1).phrases[0].phrase;
  byId("say-text").placeholder = example ? text("say.example", { phrase: example }) : "";
  const { unread } = item.reading;
  byId("unread").replaceChildren(...(unread.length ? [unreadBox(unread)] : []));
}

function unreadBox(unread) {
  const sentences = unread.map((sentence) => element("li", {}, sentence));
  return element("div", { class: "unread" }, text("say.unread"), element("ul", { lang: "en" }, ...sentences));
}

function showExport(item) {
  const dicom = item.result.dicom !== null;
  byId("export-dicom").disabled = !dicom;
  byId("export-note").textContent = dicom ? dicomNote(item) : text("export.dicom.needs");
  const { engine } = item.result;
  const { name, version } = item.model;
  byId("export-dicom").disabled ||= isOutdated(item);
  byId("provenance").textContent = text("provenance", { model: name, version: version.slice(0, 12), engine });
}

/** Returns what the DICOM objects of an image hold where a person said something; else an empty text. */
function dicomNote(item) {
  if (!statedIn(item.reading).size) return "";
  return text(isMoved(item) ? "export.dicom.corrected" : "export.dicom.model");
}

/** Lets a person say something of the image that is shown; the page says what follows. */
async function correct(say) {
  const item = list.shown;
  if (item.busy) return;
  item.busy = true;
  clearNotice("say");
  show();
  speak(text("busy"));
  try {
    const step = await say(item, modelOf(item));
    const before = item.steps[item.position - 1].reading;
    const noted = step.kind !== "withdrawn" && step.reading.mask === before.mask;
    speak(`${stepText(step)}. ${noted ? text("said.noted") : findingSentence(item)}`);
    if (noted) notice("say", text("said.noted"));
    byId("say-text").value = "";
  } catch (problem) {
    notice("say", problem.message, { bad: true });
    if (problem instanceof Replaced) await catalogue.load().catch(() => null);
  } finally {
    item.busy = false;
    show();
  }
}

function goTo(item, position) {
  const said = position < item.position ? "undone" : "redone";
  const step = item.steps[Math.max(position, said === "undone" ? position + 1 : position)];
  if (position === item.position) return;
  item.position = position;
  speak(`${text(said, { step: stepText(step) })}. ${findingSentence(item)}`);
  show();
}

const undo = () => list.shown?.busy || (list.shown && canUndo(list.shown) && goTo(list.shown, list.shown.position - 1));
const redo = () => list.shown?.busy || (list.shown && canRedo(list.shown) && goTo(list.shown, list.shown.position + 1));

function goFurther(distance) {
  list.step(distance);
  const item = list.shown;
  if (item) speak(`${item.name}. ${item.reading ? findingSentence(item) : ""}`);
}

/** Runs an export and says that the file is saved, or why not. */
async function saved(run) {
  clearNotice("export");
  clearNotice("export-notes");
  try {
    notice("export", text("export.done", { name: await run() }));
  } catch (problem) {
    notice("export", problem.message, { bad: true });
    if (problem instanceof Replaced) await catalogue.load().then(show, () => null);
  }
}

function startExports() {
  const actions = {
    "export-picture": () => savePicture(list.shown, stage.scene, stage.look),
    "export-mask": () => saveMask(list.shown),
    "export-json": () => saveOneJson(list.shown),
    "export-all": () => saveJson(list.sorted.filter(({ status }) => status === "done"), "lexiseg.json"),
    "export-dicom": () => saveDicom(
      list.shown,
      (share) => notice("export", text("export.running", { percent: percent(share) })),
      (notes) => notice("export-notes", notes.join(" "), { bad: true }),
    ),
  };
  for (const [id, run] of Object.entries(actions)) byId(id).addEventListener("click", () => saved(run));
  byId("export-print").addEventListener("click", () => print());
}

async function loadModels() {
  try {
    await catalogue.load();
  } catch (problem) {
    const action = { label: text("error.retry"), run: loadModels };
    notice("server", problem.message, { bad: true, action });
    return;
  }
  if (!catalogue.offered.length) notice("server", text("error.models"), { bad: true });
  byId("model").replaceChildren(...catalogue.offered.map(({ name }) => element("option", { value: name }, name)));
  chosen = byId("model").value;
  queue.start();
}

let chosen = "";

function changeModel() {
  if (forget(list.cases)) chosen = byId("model").value;
  else byId("model").value = chosen;
}

function startBar() {
  byId("model").addEventListener("change", changeModel);
  const language = byId("language");
  language.replaceChildren(...languages().map(({ tag, name }) => element("option", { value: tag, lang: tag }, name)));
  language.value = currentLanguage();
  language.addEventListener("change", () => {
    setLanguage(language.value);
    showTheme();
    showKeys();
    show();
  });
  byId("help-button").addEventListener("click", () => byId("help").showModal());
}

function startQueue() {
  byId("order").addEventListener("change", ({ target }) => {
    list.order = target.value;
    list.changed();
  });
  byId("next").addEventListener("click", () => goFurther(1));
  byId("previous").addEventListener("click", () => goFurther(-1));
}

function startWords() {
  byId("say").addEventListener("submit", (event) => {
    event.preventDefault();
    const spoken = byId("say-text").value.trim();
    if (spoken) correct((item, model) => sayFreely(item, model, spoken));
  });
  byId("undo").addEventListener("click", undo);
  byId("redo").addEventListener("click", redo);
}

showTexts();
startTheme();
showKeys();
startBar();
startQueue();
startWords();
startExports();
startIntake((files) => {
  list.add(files);
  if (catalogue.offered.length) queue.start();
  else loadModels();
});
startKeys(
  {
    n: () => goFurther(1), j: () => goFurther(1), p: () => goFurther(-1), k: () => goFurther(-1),
    s: () => byId("say-text").focus(), "/": () => byId("say-text").focus(), m: () => stage.toggleMasks(),
    "+": () => stage.zoomBy(1.25), "=": () => stage.zoomBy(1.25), "-": () => stage.zoomBy(0.8), 0: () => stage.fit(),
    u: undo, r: redo, "?": () => byId("help").showModal(),
  },
  (position) => list.shown?.reading && words.openAt(position),
  { undo, redo },
);
// Many images may be read at once; they are shown together.
let waits = false;
list.addEventListener("change", () => {
  if (waits) return;
  waits = true;
  requestAnimationFrame(() => {
    waits = false;
    show();
  });
});
for (const event of ["pointerdown", "keydown"]) byId("workplace").addEventListener(event, () => (list.touched = true));
// Corrections live in this page only.
addEventListener("beforeunload", (event) => {
  if (list.cases.some((item) => item.isCorrected)) event.preventDefault();
});
show();
loadModels();
startOffline();
