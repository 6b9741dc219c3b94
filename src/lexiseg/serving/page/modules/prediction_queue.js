// Sends the images to the server, a few at a time, and waits where the server asks for it.
import { clearNotice, notice } from "./notices.js";
import { pngBlob, thumbnail } from "./pictures.js";
import { modelReading } from "./readings.js";
import { predict, Refusal, Unreachable } from "./server.js";
import { number, text } from "./texts.js";

const AT_ONCE = 4;
const THUMBNAIL_PIXELS = 88;
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

export class PredictionQueue {
  #running = 0;
  #paused = false;

  /**
   * @param {import("./cases.js").CaseList} list
   * @param {() => string} model Returns the name of the chosen model.
   */
  constructor(list, model) {
    Object.assign(this, { list, model });
    globalThis.addEventListener("online", () => this.resume());
  }

  /** Starts what waits; called whenever images were added. */
  start() {
    while (!this.#paused && this.#running < AT_ONCE) {
      // The image that is shown comes first.
      const waiting = this.list.cases.filter((item) => item.status === "waiting");
      const next = waiting.find((item) => item === this.list.shown) ?? waiting[0];
      if (!next) return;
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

  resume() {
    this.#paused = false;
    clearNotice("server");
    this.start();
  }

  async #read(item) {
    // A change of the model resets the image, and an answer that was on its way is void.
    const model = this.model();
    try {
      const answer = await predict(item.file, model);
      if (model !== this.model()) item.reset();
      else if (answer.result.status === "failed") fail(item, answer.result.error);
      else await finish(item, answer);
    } catch (problem) {
      await this.#delay(item, problem);
    }
  }

  async #delay(item, problem) {
    if (problem instanceof Unreachable) {
      item.status = "waiting";
      this.#paused = true;
      const action = { label: text("error.retry"), run: () => this.resume() };
      notice("server", problem.message, { bad: true, action });
    } else if (problem instanceof Refusal && problem.retryAfter) {
      notice("busy", text("error.busy", { seconds: number(problem.retryAfter) }));
      await pause(problem.retryAfter);
      clearNotice("busy");
      item.status = "waiting";
    } else if (problem instanceof Refusal) {
      fail(item, { code: problem.code, message: problem.message });
    } else {
      fail(item, { code: "", message: text("error.decode") });
      throw problem;
    }
  }
}

function fail(item, error) {
  Object.assign(item, { status: "failed", error });
}

async function finish(item, { model, result }) {
  const preview = pngBlob(result.preview.image);
  const small = await thumbnail(preview, THUMBNAIL_PIXELS);
  const reading = modelReading(result);
  // The pictures live on as blobs.
  const { mask: _mask, preview: { image: _image, mask: _shown, ...shown }, ...rest } = result;
  Object.assign(item, { status: "done", model, result: { ...rest, preview: shown }, preview, thumbnail: small });
  item.addStep({ kind: "start", said: {}, reading });
}
