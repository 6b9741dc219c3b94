// What a person saves: pictures, JSON, DICOM objects. Each file says what it is not for.
import { canvasOf, drawScene, pixelsOf } from "./pictures.js";
import { statedIn } from "./readings.js";
import { outputs } from "./server.js";
import { text } from "./texts.js";

const LEAST_PIXELS = 900;

/** Saves a blob as a file of this name. */
function save(blob, name) {
  const address = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  return name;
}

const stem = (item) => item.name.replace(/\.[^.]+$/, "");
const pngOf = (canvas) => new Promise((resolve) => canvas.toBlob(resolve, "image/png"));

/** Saves the image with the outlines, and the words below it. */
export async function savePicture(item, scene, look) {
  const scale = Math.max(1, Math.ceil(LEAST_PIXELS / Math.max(scene.image.width, scene.image.height)));
  const [width, height] = [scene.image.width * scale, scene.image.height * scale];
  const size = Math.max(14, Math.round(width / 60));
  const words = item.reading.words.map((word) => `${word.phrase} (${text(`who.${word.saidBy}`)})`);
  const lines = [item.name, ...words, `${item.model.name}, ${item.model.version.slice(0, 12)}`, text("purpose")];
  const pen = canvasOf(width, 1).getContext("2d");
  pen.font = `${size}px sans-serif`;
  const wrapped = lines.flatMap((line) => wrap(pen, line, width - 2 * size));
  const canvas = canvasOf(width, height + Math.ceil((wrapped.length + 1) * size * 1.4));
  const ink = canvas.getContext("2d");
  ink.fillStyle = "#fff";
  ink.fillRect(0, 0, canvas.width, canvas.height);
  ink.save();
  ink.scale(scale, scale);
  drawScene(ink, { ...scene, zone: null }, { ...look, line: Math.max(2, width / 400) / scale });
  ink.restore();
  ink.fillStyle = "#000";
  ink.font = pen.font;
  wrapped.forEach((line, i) => ink.fillText(line, size, height + (i + 1.2) * size * 1.4));
  return save(await pngOf(canvas), `${stem(item)}_lexiseg.png`);
}

function wrap(pen, line, width) {
  const lines = [];
  for (const word of line.split(" ")) {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
    if (lines.length && pen.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** Saves the mask on the grid of the file: 0 and 255, or the labels where there are several classes. */
export async function saveMask(item) {
  const name = `${stem(item)}_mask.png`;
  if (item.result.classes.length > 2) return save(item.reading.mask, name);
  const labels = await pixelsOf(item.reading.mask);
  for (let i = 0; i < labels.data.length; i += 4) labels.data.fill(labels.data[i] ? 255 : 0, i, i + 3);
  const canvas = canvasOf(labels.width, labels.height);
  canvas.getContext("2d").putImageData(labels, 0, 0);
  return save(await pngOf(canvas), name);
}

/** Returns what was read and said of an image, without pixels. */
function record(item) {
  const { preview: _preview, ...prediction } = item.result;
  return {
    image: item.name,
    model: item.model,
    prediction,
    steps: item.steps.slice(0, item.position + 1).map(({ kind, said, spoken, reading }) => ({
      said_by: kind === "start" ? "model" : "person",
      kind,
      said: spoken ?? said,
      words: reading.words.map((word) => ({
        factor: word.factor, phrase: word.phrase, said_by: word.saidBy, retrieved: word.retrieved,
        confidence: word.confidence,
      })),
      unread: reading.unread,
      overlap: reading.overlap,
      expected_dice: reading.expectedDice,
      flagged: reading.flagged,
      reasons: reading.reasons,
      area_px: reading.areaPx,
      area_mm2: reading.areaMm2,
      outlines: kind === "start" ? undefined : reading.outlines,
    })),
  };
}

/** Saves what was read and said of images. */
export function saveJson(items, name) {
  const content = { purpose: text("purpose"), saved: new Date().toISOString(), images: items.map(record) };
  return save(new Blob([JSON.stringify(content, null, 2)], { type: "application/json" }), name);
}

export const saveOneJson = (item) => saveJson([item], `${stem(item)}_lexiseg.json`);

/** Returns whether what a person said moved the mask; words that name no place do not. */
export const isMoved = (item) => item.reading.overlap !== null;

/**
 * Lets the server write a DICOM segmentation and a structured report, and saves them as a zip. After a correction
 * they hold the corrected mask, and say that a person changed the words.
 * @param {(share: number) => void} onProgress Gets the share that is done.
 * @param {(notes: string[]) => void} onNotes Gets what could not be written, where there is such.
 */
export async function saveDicom(item, onProgress, onNotes) {
  const said = isMoved(item) ? JSON.stringify(Object.fromEntries(statedIn(item.reading))) : null;
  // The frame that is shown, also of a file that would be read as a volume.
  const fields = { formats: "seg,sr", frame: item.result.dicom.frame };
  const onJob = (job) => {
    onProgress(job.done / job.images);
    if (job.notes.length) onNotes(job.notes);
  };
  const zip = await outputs(item.file, item.model, said ? { ...fields, say: said } : fields, onJob);
  return save(zip, `${stem(item)}${said ? "_corrected" : ""}_dicom.zip`);
}
