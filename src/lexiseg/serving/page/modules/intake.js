// Images come in: dropped, chosen or pasted.
import { byId, element } from "./elements.js";
import { clearNotice, notice } from "./notices.js";
import { counted, text } from "./texts.js";

// Of folders; a file that is dropped or chosen by itself always goes to the server, which says why it is no image.
const IMAGE_NAME = /(\.(png|jpe?g|tiff?|bmp|webp|dcm|dicom|ima)|^[^.]+)$/i;

/**
 * @param {(files: File[]) => void} onFiles
 */
export function startIntake(onFiles) {
  const take = (files, leftOut = 0) => {
    clearNotice("intake");
    if (leftOut) notice("intake", counted("left.out", { n: leftOut }));
    if (files.length) onFiles(files);
    else if (!leftOut) notice("intake", text("error.none"));
  };
  const field = byId("files");
  for (const id of ["add", "choose"]) byId(id).addEventListener("click", () => field.click());
  field.addEventListener("change", () => {
    take([...field.files]);
    field.value = "";
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) take(files);
  });
  startDrop(take);
}

function startDrop(take) {
  const veil = element("div", { class: "drop-veil", hidden: true });
  document.body.append(veil);
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.textContent = text("drop");
    veil.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) veil.hidden = true;
  });
  document.addEventListener("drop", async (event) => {
    veil.hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    // Entries are lost after the first wait.
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
    const files = [...event.dataTransfer.files];
    const folders = entries.filter((entry) => entry?.isDirectory);
    const inside = (await Promise.all(folders.map(filesIn))).flat();
    const images = inside.filter((file) => IMAGE_NAME.test(file.name));
    const single = folders.length ? await Promise.all(entries.filter((e) => e?.isFile).map(fileOf)) : files;
    take([...single, ...images], inside.length - images.length);
  });
}

const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

/** Returns all files of a folder and its subfolders, sorted by name; hidden ones are no images of a person. */
async function filesIn(folder) {
  const reader = folder.createReader();
  const found = [];
  // A reader gives a part at a time, and an empty one at the end.
  for (;;) {
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!part.length) break;
    found.push(...part);
  }
  const visible = found.filter((entry) => !entry.name.startsWith("."));
  visible.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  return (await Promise.all(visible.map(async (e) => (e.isDirectory ? filesIn(e) : [await fileOf(e)])))).flat();
}
