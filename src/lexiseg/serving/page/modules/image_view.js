// The view of one image: zoom, pan, and the mask over it.
import { drawScene } from "./pictures.js";

const MOST_ZOOM = 16;
const STEP = 1.25;
const LINE_PIXELS = 2;

export class ImageView {
  /**
   * @param {HTMLElement} frame What the image is seen through; it takes keys, wheel and pointers.
   * @param {HTMLCanvasElement} canvas
   * @param {{onZoom: (zoom: number) => void, onWindow: (dx: number, dy: number) => void}} listeners
   *     `onWindow` gets the way of a drag with the right button, in screen pixels.
   */
  constructor(frame, canvas, { onZoom, onWindow }) {
    Object.assign(this, { frame, canvas, onZoom, onWindow, scene: null, zoom: 1, x: 0, y: 0 });
    this.look = { masks: true, opacity: 0.25 };
    this.pointers = new Map();
    new ResizeObserver(() => this.draw()).observe(frame);
    frame.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    frame.addEventListener("keydown", (event) => this.#key(event));
    frame.addEventListener("dblclick", (event) => (this.zoom > 1 ? this.fit() : this.zoomBy(4, this.#place(event))));
    frame.addEventListener("contextmenu", (event) => event.preventDefault());
    frame.addEventListener("pointerdown", (event) => this.#down(event));
    frame.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      frame.addEventListener(end, (event) => this.#up(event));
    }
  }

  /** Shows a scene of `drawScene`; null shows nothing. */
  show(scene, { keepView = false } = {}) {
    this.scene = scene;
    if (keepView) this.draw();
    else this.fit();
  }

  setLook(look) {
    Object.assign(this.look, look);
    this.draw();
  }

  fit() {
    Object.assign(this, { zoom: 1, x: 0, y: 0 });
    this.#changed();
  }

  /** Zooms by a factor; `place` in pixels of the frame stays where it is. */
  zoomBy(factor, place = null) {
    const to = Math.min(MOST_ZOOM, Math.max(1, this.zoom * factor));
    const at = place ?? { x: this.frame.clientWidth / 2, y: this.frame.clientHeight / 2 };
    const grown = to / this.zoom;
    const middle = { x: at.x - this.frame.clientWidth / 2, y: at.y - this.frame.clientHeight / 2 };
    this.x = middle.x - (middle.x - this.x) * grown;
    this.y = middle.y - (middle.y - this.y) * grown;
    this.zoom = to;
    this.#changed();
  }

  panBy(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.#changed();
  }

  #changed() {
    const { width, height } = this.#extent();
    const [freeX, freeY] = [width - this.frame.clientWidth, height - this.frame.clientHeight];
    this.x = Math.min(Math.max(this.x, -Math.max(0, freeX / 2)), Math.max(0, freeX / 2));
    this.y = Math.min(Math.max(this.y, -Math.max(0, freeY / 2)), Math.max(0, freeY / 2));
    this.frame.classList.toggle("zoomed", this.zoom > 1);
    this.onZoom(this.zoom);
    this.draw();
  }

  // Pixels of the screen per pixel of the image.
  #scale() {
    const { width, height } = this.scene.image;
    return this.zoom * Math.min(this.frame.clientWidth / width, this.frame.clientHeight / height);
  }

  #extent() {
    if (!this.scene) return { width: 0, height: 0 };
    const scale = this.#scale();
    return { width: this.scene.image.width * scale, height: this.scene.image.height * scale };
  }

  draw() {
    const ratio = globalThis.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.frame;
    Object.assign(this.canvas, { width: Math.round(clientWidth * ratio), height: Math.round(clientHeight * ratio) });
    if (!this.scene || !clientWidth || !clientHeight) return;
    const pen = this.canvas.getContext("2d");
    const { width, height } = this.#extent();
    const scale = this.#scale();
    pen.setTransform(
      ratio * scale, 0, 0, ratio * scale,
      ratio * ((clientWidth - width) / 2 + this.x), ratio * ((clientHeight - height) / 2 + this.y),
    );
    drawScene(pen, this.scene, { ...this.look, line: LINE_PIXELS / scale });
  }

  #place(event) {
    const box = this.frame.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  #wheel(event) {
    if (!this.scene) return;
    event.preventDefault();
    this.zoomBy(Math.exp(-event.deltaY / 400), this.#place(event));
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      "+": () => this.zoomBy(STEP), "=": () => this.zoomBy(STEP), "-": () => this.zoomBy(1 / STEP), 0: () => this.fit(),
      ArrowLeft: () => this.panBy(40, 0), ArrowRight: () => this.panBy(-40, 0),
      ArrowUp: () => this.panBy(0, 40), ArrowDown: () => this.panBy(0, -40),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  #down(event) {
    this.frame.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.#place(event));
    this.frame.classList.add("dragging");
  }

  #move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.#place(event);
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    this.pointers.set(event.pointerId, now);
    if (event.buttons === 2) this.onWindow(now.x - before.x, now.y - before.y);
    else if (others.length) this.#pinch(before, now, others[0]);
    else if (this.zoom > 1) this.panBy(now.x - before.x, now.y - before.y);
  }

  #pinch(before, now, other) {
    const distance = (place) => Math.hypot(place.x - other.x, place.y - other.y) || 1;
    this.zoomBy(distance(now) / distance(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
  }

  #up(event) {
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.frame.classList.remove("dragging");
  }
}
