// The images of this page: their order, which one is shown, and the steps of each.

/** One image with what was read and said. Nothing of it is stored beyond the page. */
export class Case {
  static #made = 0;

  constructor(file) {
    Object.assign(this, { id: ++Case.#made, file, name: file.name });
    this.reset();
  }

  /** Forgets what was read and said. */
  reset() {
    Object.assign(this, {
      status: "waiting", error: null, result: null, model: null, offer: null, preview: null, thumbnail: null, seen: false,
      steps: [], position: -1, busy: false, request: null,
      // Each try without an answer of the server: the status, null where no proxy answered either, and whether the
      // server was there afterwards.
      unanswered: [],
      // How often the reader asked for one more try.
      granted: 0,
    });
  }

  get reading() {
    return this.steps[this.position]?.reading ?? null;
  }

  get isCorrected() {
    return this.position > 0;
  }

  /** Adds a step; steps that were undone are forgotten. */
  addStep(step) {
    this.steps = [...this.steps.slice(0, this.position + 1), step];
    this.position = this.steps.length - 1;
  }

  /** How doubtful the image is, for sorting: the larger the first value that differs, the earlier. */
  get doubt() {
    if (this.status !== "done") return [this.status === "failed" ? -2 : -1];
    const { flagged, expectedDice, agreement } = this.steps[0].reading;
    const unlike = Boolean(this.result.unlike_training_images?.length);
    return [Number(flagged), Number(unlike), 1 - (expectedDice ?? agreement ?? 0), 1 - (agreement ?? 0)];
  }
}

/** The list of images; it announces "change" whenever something differs. */
export class CaseList extends EventTarget {
  cases = [];
  order = "doubt";
  shown = null;
  // Whether the reader did anything yet; until then the page may choose which image it shows.
  touched = false;

  add(files) {
    const added = files.map((file) => new Case(file));
    this.cases.push(...added);
    if (!this.shown) this.shown = added[0] ?? null;
    this.changed();
  }

  /** Returns the images in the chosen order; equal ones stay as they were added. */
  get sorted() {
    if (this.order === "added") return [...this.cases];
    return [...this.cases].sort((a, b) => {
      const [x, y] = [a.doubt, b.doubt];
      const differs = x.findIndex((value, i) => value !== y[i]);
      return differs < 0 ? a.id - b.id : y[differs] - x[differs];
    });
  }

  show(item) {
    this.touched = true;
    this.shown = item;
    this.changed();
  }

  /** Shows the image `distance` further in the order; stays at both ends. */
  step(distance) {
    const sorted = this.sorted;
    const to = sorted.indexOf(this.shown) + distance;
    if (to >= 0 && to < sorted.length) this.show(sorted[to]);
  }

  /** Shows the first image of the order, where the reader did nothing yet. */
  showFirst() {
    const [first] = this.sorted;
    if (this.touched || first === this.shown) return;
    this.shown.seen = false;
    this.shown = first;
  }

  changed() {
    if (this.shown?.status === "done") this.shown.seen = true;
    this.dispatchEvent(new Event("change"));
  }
}
