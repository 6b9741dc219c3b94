// Requests to the server that gave this page, and to no other.
import { askToken, tokenHeaders } from "./access_token.js";
import { text } from "./texts.js";

/** The server refused a request, with a stable code and a message for a person. */
export class Refusal extends Error {
  constructor(status, code, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** The server did not answer. */
export class Unreachable extends Error {
  constructor() {
    super(text("error.unreachable"));
  }
}

async function request(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { ...options.headers, ...tokenHeaders() }, cache: "no-store" });
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Unreachable();
  }
  if (answer.status === 401 && (await askToken())) return request(path, options);
  if (!answer.ok) throw await refusalOf(answer);
  return answer;
}

async function refusalOf(answer) {
  const record = await answer.json().catch(() => null);
  const wait = Number(answer.headers.get("Retry-After"));
  return new Refusal(
    answer.status,
    record?.error?.code ?? "",
    record?.error?.message ?? text("error.answer", { status: answer.status }),
    answer.status === 429 || answer.status === 503 ? Math.min(Math.max(wait || 1, 1), 60) : null,
  );
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

/** Returns the answer for one image after a person said what is right: a text, or a phrase per factor. */
export async function refine(file, model, said) {
  const say = typeof said === "string" ? said : JSON.stringify(said);
  return (await asJson("v1/refine", form(file, { model, preview: "always", say }))).refined;
}

/** Returns a PNG: where a phrase acts. */
export async function zone(model, factor, index) {
  const path = ["v1/models", encodeURIComponent(model), "zones", encodeURIComponent(factor), index].join("/");
  return (await request(path)).blob();
}

/**
 * Lets the server write files for an image, and returns them as a zip.
 * @param {object} fields The fields of the job.
 * @param {(job: object) => void} onProgress Gets the record of the job whenever it changes.
 */
export async function outputs(file, fields, onProgress) {
  const job = await asJson("v1/jobs", form(file, fields));
  const events = await request(`v1/jobs/${encodeURIComponent(job.id)}/events`, {
    headers: { Accept: "text/event-stream" },
  });
  let last = job;
  for await (const record of serverSentRecords(events.body)) {
    last = record;
    onProgress(record);
  }
  if (last.state !== "done" || last.failed > 0) {
    throw new Refusal(200, last.error?.code ?? "", last.error?.message ?? text("error.job"));
  }
  return (await request(`v1/jobs/${encodeURIComponent(job.id)}/result`)).blob();
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
