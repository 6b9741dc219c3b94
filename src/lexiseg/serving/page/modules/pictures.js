// Pictures: PNG files of answers, the window of grey values, and what is drawn over an image.

/** Returns the bytes of a PNG in base64 as a blob. */
export function pngBlob(base64) {
  return new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], { type: "image/png" });
}

export function canvasOf(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

/** Returns the pixels of a PNG as they are stored, without colour management. */
export async function pixelsOf(blob) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  const canvas = canvasOf(bitmap.width, bitmap.height);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(bitmap, 0, 0);
  bitmap.close();
  return pen.getImageData(0, 0, canvas.width, canvas.height);
}

/** Returns a square thumbnail, `size` pixels a side, with the whole image in it. */
export async function thumbnail(blob, size) {
  const bitmap = await createImageBitmap(blob);
  const scale = size / Math.max(bitmap.width, bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  const canvas = canvasOf(size, size);
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, (size - width) / 2, (size - height) / 2, width, height);
  bitmap.close();
  return canvas;
}

/** An image whose grey values a reader can window. */
export class WindowedImage {
  /** @param {ImageData} pixels The image, 8 bits per channel. */
  constructor(pixels) {
    this.pixels = pixels;
    this.canvas = canvasOf(pixels.width, pixels.height);
    this.setWindow(0, 0);
  }

  get width() {
    return this.pixels.width;
  }

  get height() {
    return this.pixels.height;
  }

  /** Both are -100 to 100; 0 shows the values as they are. */
  setWindow(brightness, contrast) {
    const slope = contrast < 0 ? 1 + contrast / 110 : 1 + contrast / 25;
    const table = Uint8ClampedArray.from({ length: 256 }, (_, v) => (v - 128) * slope + 128 + brightness * 1.5);
    const { data, width, height } = this.pixels;
    const shown = new ImageData(width, height);
    for (let i = 0; i < data.length; i += 4) {
      shown.data[i] = table[data[i]];
      shown.data[i + 1] = table[data[i + 1]];
      shown.data[i + 2] = table[data[i + 2]];
      shown.data[i + 3] = 255;
    }
    this.canvas.getContext("2d").putImageData(shown, 0, 0);
  }
}

/** Returns the colour of a class, label 1 first; further classes begin again. */
export const maskColour = (label) => colour(`--mask-${((label - 1) % 4) + 1}`);

/** Returns a colour of page_style/tokens.css. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** Returns the areas of a mask of labels in the colours of their classes; the rest is transparent. */
export function maskFill(labels) {
  const filled = new ImageData(labels.width, labels.height);
  const colours = new Map();
  for (let i = 0; i < labels.data.length; i += 4) {
    const label = labels.data[i];
    if (!label) continue;
    if (!colours.has(label)) colours.set(label, rgb(maskColour(label)));
    filled.data.set(colours.get(label), i);
    filled.data[i + 3] = 255;
  }
  return onCanvas(filled);
}

/** Returns a grey map as a colour that is the more opaque the brighter the map is. */
export function zoneFill(map) {
  const filled = new ImageData(map.width, map.height);
  const zone = rgb(colour("--zone"));
  let most = 1;
  for (let i = 0; i < map.data.length; i += 4) most = Math.max(most, map.data[i]);
  for (let i = 0; i < map.data.length; i += 4) {
    filled.data.set(zone, i);
    filled.data[i + 3] = (210 * map.data[i]) / most;
  }
  return onCanvas(filled);
}

function onCanvas(pixels) {
  const canvas = canvasOf(pixels.width, pixels.height);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

/** Returns the outlines of one class as a path in pixels of the image. */
function outlinePath(polygons) {
  const path = new Path2D();
  for (const polygon of polygons) {
    polygon.forEach(([column, row], i) => (i ? path.lineTo(column, row) : path.moveTo(column, row)));
    path.closePath();
  }
  return path;
}

/**
 * Draws an image with what is known of it, in pixels of the image; the pen is scaled and moved already.
 * @param {CanvasRenderingContext2D} pen
 * @param {{image, fill, outlines, modelOutlines, zone}} scene `modelOutlines` and `zone` may be null.
 * @param {{masks: boolean, opacity: number, line: number}} look `line` is the width of outlines in image pixels.
 */
export function drawScene(pen, scene, { masks, opacity, line }) {
  const { width, height } = scene.image;
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(scene.image.canvas, 0, 0, width, height);
  if (scene.zone) pen.drawImage(scene.zone, 0, 0, width, height);
  if (!masks) return;
  pen.globalAlpha = opacity;
  pen.drawImage(scene.fill, 0, 0, width, height);
  pen.globalAlpha = 1;
  for (const { label, polygons } of scene.outlines) {
    strokeTwice(pen, outlinePath(polygons), maskColour(label), line, []);
  }
  for (const { polygons } of scene.modelOutlines ?? []) {
    strokeTwice(pen, outlinePath(polygons), colour("--mask-model"), line, [4 * line, 3 * line]);
  }
}

// A dark line below each outline keeps it visible on light pixels.
function strokeTwice(pen, path, stroke, line, dash) {
  pen.lineJoin = "round";
  pen.setLineDash(dash);
  pen.lineWidth = line * 1.8;
  pen.strokeStyle = "rgb(0 0 0 / 65%)";
  pen.stroke(path);
  pen.lineWidth = line;
  pen.strokeStyle = stroke;
  pen.stroke(path);
  pen.setLineDash([]);
}
