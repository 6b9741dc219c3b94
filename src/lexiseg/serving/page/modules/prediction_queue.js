// Sends the images to the server, a few at a time, and waits where the server asks for it.
import { clearNotice, notice } from "./notices.js";
import { pngBlob, thumbnail } from "./pictures.js";
import { modelReading } from "./readings.js";
import { isThere, predict, Refusal, UnreadableFile, Unreachable } from "./server.js";
import { number, text } from "./texts.js";

const AT_ONCE = 4;
const MOST_TRIES = 2;
const THUMBNAIL_PIXELS = 88;
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

export class PredictionQueue {
  #running = 0;
  #paused = false;

  /**
   * @param {import("./cases.js").CaseList} list
   * @param {() => string} model Returns the name of the chosen model.
   * @param {import("./catalogue.js").Catalogue} catalogue
   */
  constructor(list, model, catalogue) {
    Object.assign(this, { list, model, catalogue });
    globalThis.addEventListener("online", () => this.resume());
  }

  /** Starts what waits; called whenever images were added. */
  start() {
    while (this.model() && !this.#paused) {
      const next = this.#next();
      if (!next) break;
      this.#running += 1;
      next.status = "running";
      this.#read(next).finally(() => {
        this.#running -= 1;
        if (this.list.cases.every(({ status }) => status === "done" || status === "failed")) this.list.showFirst();
        this.list.changed();
        this.start();
      });
    }
    this.list.changed();
  }

  /** Returns the image that is read next; null where none can be. */
  #next() {
    const { cases, shown } = this.list;
    const isSuspect = ({ unanswered }) => unanswered.length > 0;
    if (this.#running >= AT_ONCE || cases.some((item) => item.status === "running" && isSuspect(item))) return null;
    const waiting = cases.filter((item) => item.status === "waiting");
    const others = waiting.filter((item) => !isSuspect(item));
    // The image that is shown comes first. One without an answer comes last and alone: it may end the server.
    const first = others.find((item) => item === shown) ?? others[0];
    if (first || this.#running) return first ?? null;
    return waiting.sort((a, b) => a.unanswered.length - b.unanswered.length)[0] ?? null;
  }

  resume() {
    this.#paused = false;
    clearNotice("server");
    this.start();
  }

  /** Sends an image again that was given up; last and alone, as before. */
  tryAgain(item) {
    item.granted += 1;
    Object.assign(item, { status: "waiting", error: null });
    this.resume();
  }

  async #read(item) {
    // A change of the model resets the image; an answer that was on its way is then void.
    const request = {};
    item.request = request;
    if (item.unanswered.length && !(await this.#mayTry(item, request))) return;
    try {
      const answer = await predict(item.file, this.model());
      const failed = answer.result.status === "failed";
      const finished = failed ? { status: "failed", error: answer.result.error } : await this.#finished(answer);
      if (item.request !== request) return;
      Object.assign(item, finished);
      if (!failed) item.addStep({ kind: "start", said: {}, reading: modelReading(answer.result) });
    } catch (problem) {
      if (item.request === request) await this.#delay(item, problem, request);
    }
  }

  /** Returns whether an image without an answer is sent again: only while the server is there, so that the try counts. */
  async #mayTry(item, request) {
    const there = await isThere();
    if (item.request !== request) return false;
    if (!there) this.#pause(item, new Unreachable());
    else if (mayBeTried(item)) return true;
    else giveUp(item);
    return false;
  }

  async #finished(answer) {
    const offer = await this.catalogue.recordOf(answer.model);
    if (!offer) throw new Refusal(200, "", text("error.replaced"));
    return { ...(await finishedCase(answer)), offer };
  }

  async #delay(item, problem, request) {
    if (problem instanceof Unreachable) {
      const there = await isThere();
      if (item.request !== request) return;
      item.unanswered.push({ status: problem.status, there });
      if (!there) this.#pause(item, problem);
      else if (mayBeTried(item)) item.status = "waiting";
      else giveUp(item);
    } else if (problem instanceof Refusal && problem.retryAfter) {
      notice("busy", text("error.busy", { seconds: number(problem.retryAfter) }));
      await pause(problem.retryAfter);
      clearNotice("busy");
      if (item.request === request) item.status = "waiting";
    } else if (problem instanceof Refusal || problem instanceof UnreadableFile) {
      fail(item, { code: problem.code ?? "", message: problem.message });
    } else {
      fail(item, { code: "", message: text("error.decode") });
      throw problem;
    }
  }

  /** Lets all images wait until the reader, or the network, says that the server is there again. */
  #pause(item, problem) {
    item.status = "waiting";
    this.#paused = true;
    const action = { label: text("error.retry"), run: () => this.resume() };
    notice("server", problem.message, { bad: true, action });
  }
}

const mayBeTried = (item) => item.unanswered.length < MOST_TRIES + item.granted;

/** Fails an image for which the server gives no answer, while it answers otherwise; the reader may try it again. */
function giveUp(item) {
  const n = number(item.unanswered.length);
  const status = item.unanswered.findLast((found) => found.status !== null)?.status;
  const went = item.unanswered.every(({ there }) => !there);
  const message = went
    ? text("error.went.away", { n })
    : status ? text("error.unanswered", { n, status }) : text("error.broken.off", { n });
  fail(item, { code: "", message, again: true });
}

function fail(item, error) {
  Object.assign(item, { status: "failed", error });
}

/** Returns what an image gets from an answer; its pictures live on as blobs. */
async function finishedCase({ model, result }) {
  const preview = pngBlob(result.preview.image);
  const { mask: _mask, preview: { image: _image, mask: _shown, ...shown }, ...rest } = result;
  return {
    status: "done", model, result: { ...rest, preview: shown }, preview,
    thumbnail: await thumbnail(preview, THUMBNAIL_PIXELS),
  };
}
