// The stage: the image that is shown, with its masks, the window of its grey values, and where a word acts.
import { areaSample, byId, element, lineSample } from "./elements.js";
import { ImageView } from "./image_view.js";
import { maskFill, pixelsOf, WindowedImage } from "./pictures.js";
import { percent, text } from "./texts.js";
import { zoneOf } from "./zones.js";

export class Stage {
  #view;
  #item = null;
  #reading = null;
  #finding = "";
  #look = 0;

  constructor() {
    this.scene = null;
    this.#view = new ImageView(byId("viewport"), byId("canvas"), {
      onZoom: (zoom) => (byId("zoom-level").textContent = percent(zoom)),
      onWindow: (dx, dy) => {
        byId("brightness").valueAsNumber -= dy / 2;
        byId("contrast").valueAsNumber += dx / 2;
        this.#setWindow();
      },
    });
    byId("zoom-level").textContent = percent(1);
    byId("zoom-in").addEventListener("click", () => this.zoomBy(1.5));
    byId("zoom-out").addEventListener("click", () => this.zoomBy(1 / 1.5));
    byId("zoom-fit").addEventListener("click", () => this.fit());
    byId("mask-shown").addEventListener("click", () => this.toggleMasks());
    byId("opacity").addEventListener("input", () => this.#setOpacity());
    for (const id of ["brightness", "contrast"]) byId(id).addEventListener("input", () => this.#setWindow());
    byId("view-reset").addEventListener("click", () => this.#reset());
  }

  get look() {
    return this.#view.look;
  }

  zoomBy(factor) {
    if (this.scene) this.#view.zoomBy(factor);
  }

  fit() {
    if (this.scene) this.#view.fit();
  }

  toggleMasks() {
    const masks = !this.look.masks;
    byId("mask-shown").setAttribute("aria-pressed", String(masks));
    this.#view.setLook({ masks });
    this.#showLegend();
  }

  /** Shows an image as it is read at its present step. */
  async show(item, finding) {
    this.#finding = finding;
    const veil = byId("veil");
    veil.hidden = item.status === "done";
    if (!veil.hidden) {
      veil.textContent = text({ waiting: "waiting", running: "loading", failed: "error.case" }[item.status]);
    }
    if (item !== this.#item || item.reading !== this.#reading) await this.#load(item);
    this.#describe();
    this.#showLegend();
  }

  async #load(item) {
    const { reading } = item;
    const sameImage = item === this.#item && this.#reading !== null;
    Object.assign(this, { scene: sameImage ? this.scene : null });
    this.#item = item;
    this.#reading = reading;
    if (!reading) return this.#view.show(null);
    this.hideZone();
    const labels = await pixelsOf(reading.shownMask);
    const image = sameImage && this.scene ? this.scene.image : new WindowedImage(await pixelsOf(item.preview));
    if (this.#item !== item || this.#reading !== reading) return undefined;
    const first = item.steps[0].reading;
    this.scene = {
      image, fill: maskFill(labels), outlines: reading.outlines, zone: null,
      modelOutlines: reading.shownMask === first.shownMask ? null : first.outlines,
    };
    this.#applyWindow();
    return this.#view.show(this.scene, { keepView: sameImage });
  }

  #describe() {
    const canvas = byId("canvas");
    if (!this.scene) return canvas.setAttribute("aria-label", this.#item.name);
    const { width, height } = this.scene.image;
    const words = { name: this.#item.name, width, height, finding: this.#finding };
    return canvas.setAttribute("aria-label", text("view.described", words));
  }

  #showLegend() {
    const rows = [];
    if (this.scene && this.look.masks) {
      const corrected = this.scene.modelOutlines !== null;
      const several = this.scene.outlines.length > 1;
      for (const { label, name } of this.scene.outlines) {
        const what = text(corrected ? "legend.refined" : "legend.mask");
        rows.push([lineSample(`stroke-${((label - 1) % 4) + 1}`), several ? `${what}: ${name}` : what]);
      }
      if (corrected) rows.push([lineSample("stroke-model"), text("legend.model")]);
    }
    if (this.scene?.zone) rows.push([areaSample("fill-zone"), text("legend.zone")]);
    byId("legend").replaceChildren(...rows.map(([sample, what]) => element("li", {}, sample, what)));
  }

  /** Shows where a phrase acts, until `hideZone`. */
  async showZone(model, factor, index) {
    const look = ++this.#look;
    const { phrase } = model.vocabulary.factors.find(({ name }) => name === factor).phrases[index];
    const zone = await zoneOf(model, factor, index).catch(() => null);
    if (look !== this.#look || !this.scene) return;
    const caption = byId("zone-caption");
    caption.hidden = false;
    caption.textContent = text(zone ? "zone.of" : "zone.none", { phrase });
    this.scene.zone = zone;
    this.#view.draw();
    this.#showLegend();
  }

  hideZone() {
    this.#look += 1;
    byId("zone-caption").hidden = true;
    if (!this.scene?.zone) return;
    this.scene.zone = null;
    this.#view.draw();
    this.#showLegend();
  }

  #setOpacity() {
    this.#view.setLook({ opacity: byId("opacity").valueAsNumber / 100 });
  }

  #applyWindow() {
    this.scene.image.setWindow(byId("brightness").valueAsNumber, byId("contrast").valueAsNumber);
  }

  #setWindow() {
    if (!this.scene) return;
    this.#applyWindow();
    this.#view.draw();
  }

  #reset() {
    for (const id of ["opacity", "brightness", "contrast"]) byId(id).value = byId(id).defaultValue;
    this.#setOpacity();
    this.#setWindow();
    this.fit();
  }
}
