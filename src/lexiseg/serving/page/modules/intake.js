// Images come in: dropped, chosen or pasted.
import { byId, element } from "./elements.js";
import { clearNotice, notice } from "./notices.js";
import { counted, text } from "./texts.js";

// Of folders; a file that is dropped or chosen by itself always goes to the server, which says why it is no image.
const IMAGE_NAME = /(\.(png|jpe?g|tiff?|bmp|webp|dcm|dicom|ima)|^[^.]+)$/i;

const NAMED = 3;

/**
 * @param {(files: File[]) => void} onFiles
 */
export function startIntake(onFiles) {
  const take = (files, leftOut = 0, unread = []) => {
    for (const key of ["intake", "unread"]) clearNotice(key);
    if (leftOut) notice("intake", counted("left.out", { n: leftOut }));
    if (unread.length) notice("unread", unreadText(unread), { bad: true });
    if (files.length) onFiles(files);
    else if (!leftOut && !unread.length) notice("intake", text("error.none"));
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

function unreadText(names) {
  const first = names.slice(0, NAMED).join(", ");
  return counted("unread", { n: names.length, names: names.length > NAMED ? `${first}, ...` : first });
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
    const unread = [];
    const inside = (await Promise.all(folders.map((folder) => filesIn(folder, unread)))).flat();
    const images = inside.filter((file) => IMAGE_NAME.test(file.name));
    const own = entries.filter((entry) => entry?.isFile);
    const single = folders.length ? (await Promise.all(own.map((entry) => filesOf(entry, unread)))).flat() : files;
    take([...single, ...images], inside.length - images.length, unread);
  });
}

/** Returns the file of an entry in a list; an empty list where it cannot be opened, and notes its name. */
async function filesOf(entry, unread) {
  try {
    return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  } catch {
    unread.push(entry.name);
    return [];
  }
}

/** Returns all entries of a folder; of one that cannot be opened those that came, and notes its name. */
async function entriesIn(folder, unread) {
  const found = [];
  try {
    const reader = folder.createReader();
    // A reader gives a part at a time, and an empty one at the end.
    for (;;) {
      const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!part.length) break;
      found.push(...part);
    }
  } catch {
    unread.push(folder.name);
  }
  return found;
}

/** Returns all files of a folder and its subfolders, sorted by name; hidden ones are no images of a person. */
async function filesIn(folder, unread) {
  const found = await entriesIn(folder, unread);
  const visible = found.filter((entry) => !entry.name.startsWith("."));
  visible.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  return (await Promise.all(visible.map((e) => (e.isDirectory ? filesIn : filesOf)(e, unread)))).flat();
}
