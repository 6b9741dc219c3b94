// Requests to the server that gave this page, and to no other.
import { askToken, tokenHeaders } from "./access_token.js";
import { text } from "./texts.js";

const HEALTH_MS = 10_000;

/** The server refused a request, with a stable code and a message for a person. */
export class Refusal extends Error {
  constructor(status, code, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** The server did not answer; `status` is that of a proxy which answered for it, or null. */
export class Unreachable extends Error {
  constructor(status = null) {
    super(text("error.unreachable"));
    this.status = status;
  }
}

/** A file of this machine cannot be read any more, so nothing was sent. */
export class UnreadableFile extends Error {
  constructor() {
    super(text("error.file"));
  }
}

/** The answer is of another version of the model than the one that read the image. */
export class Replaced extends Error {
  constructor() {
    super(text("error.replaced"));
  }
}

async function request(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { ...options.headers, ...tokenHeaders() }, cache: "no-store" });
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    // The browser says no more than that nothing was sent.
    throw (await isReadable(options.body?.get("image"))) ? new Unreachable() : new UnreadableFile();
  }
  if (answer.status === 401 && (await askToken())) return request(path, options);
  if (!answer.ok) throw await refusalOf(answer);
  return answer;
}

/** Returns whether a file can still be read; true where there is none. */
async function isReadable(file) {
  try {
    await file?.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

async function refusalOf(answer) {
  const record = await answer.json().catch(() => null);
  // A proxy answers for a server that is away.
  const isOurs = Boolean(record?.error?.code);
  const isAway = answer.status === 502 || answer.status === 504 || (answer.status === 503 && !isOurs);
  if (isAway) return new Unreachable(answer.status);
  const wait = Number(answer.headers.get("Retry-After"));
  return new Refusal(
    answer.status,
    record?.error?.code ?? "",
    record?.error?.message ?? text("error.answer", { status: answer.status }),
    answer.status === 429 || answer.status === 503 ? Math.min(Math.max(wait || 1, 1), 60) : null,
  );
}

/** Returns whether the server itself answers. */
export async function isThere() {
  try {
    const answer = await fetch("healthz", { cache: "no-store", signal: AbortSignal.timeout(HEALTH_MS) });
    return answer.ok && (await answer.json()).status === "ok";
  } catch {
    return false;
  }
}

function form(file, fields) {
  const made = new FormData();
  made.append("image", file, file.name);
  for (const [name, value] of Object.entries(fields)) made.append(name, value);
  return { method: "POST", body: made };
}

const asJson = async (path, options) => (await request(path, options)).json();

/** Returns the models of the server, the default one first. */
export const models = async () => (await asJson("v1/models")).models;

/** Returns the answer for one image: `{model, result}`; a result with status "failed" holds its error. */
export async function predict(file, model) {
  const answer = await asJson("v1/predict", form(file, { model, preview: "always" }));
  return { model: answer.model, result: answer.results[0] };
}

/** Refuses an answer of another version of a model: its words and masks would mix with those of before. */
function checkVersion(answer, model) {
  if (answer.model.version !== model.version) throw new Replaced();
}

/**
 * Returns the answer for one image after a person said what is right: a text, or a phrase per factor.
 * @param {{name: string, version: string}} model The model that read the image.
 */
export async function refine(file, model, said) {
  const say = typeof said === "string" ? said : JSON.stringify(said);
  const answer = await asJson("v1/refine", form(file, { model: model.name, preview: "always", say }));
  checkVersion(answer, model);
  return answer.refined;
}

/** Returns a PNG: where a phrase acts. */
export async function zone(model, factor, index) {
  const path = ["v1/models", encodeURIComponent(model), "zones", encodeURIComponent(factor), index].join("/");
  return (await request(path)).blob();
}

/**
 * Lets the server write files for an image, and returns them as a zip; the server keeps none of them.
 * @param {{name: string, version: string}} model The model that read the image.
 * @param {object} fields The other fields of the job.
 * @param {(job: object) => void} onProgress Gets the record of the job whenever it changes.
 */
export async function outputs(file, model, fields, onProgress) {
  const job = await asJson("v1/jobs", form(file, { model: model.name, ...fields }));
  const path = `v1/jobs/${encodeURIComponent(job.id)}`;
  // Nobody asks for it again, so nothing of a patient stays on the server, also where the page is closed meanwhile.
  // If the server cannot be reached, it removes the job some time after its end.
  const remove = () =>
    fetch(path, { method: "DELETE", headers: tokenHeaders(), keepalive: true }).catch(() => {});
  addEventListener("pagehide", remove);
  try {
    checkVersion(job, model);
    const events = await request(`${path}/events`, { headers: { Accept: "text/event-stream" } });
    let last = job;
    for await (const record of serverSentRecords(events.body)) {
      last = record;
      onProgress(record);
    }
    if (last.state !== "done" || last.failed > 0) {
      throw new Refusal(200, last.error?.code ?? "", last.error?.message ?? text("error.job"));
    }
    return await (await request(`${path}/result`)).blob();
  } finally {
    removeEventListener("pagehide", remove);
    remove();
  }
}

// EventSource cannot send a token, so the stream is read here: events end with an empty line.
async function* serverSentRecords(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const events = (waiting + part.value).replace(/\r\n?/g, "\n").split("\n\n");
    waiting = events.pop();
    for (const event of events) {
      const data = event.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5));
      if (data.length) yield JSON.parse(data.join("\n"));
    }
  }
}
