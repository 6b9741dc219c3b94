// The words of an image as chips, coarse to fine, each with its list of phrases.
import { element } from "./elements.js";
import { phraseList } from "./phrase_list.js";
import { percent, text } from "./texts.js";

export class WordPanel {
  #open = null;
  #looked = null;

  /**
   * @param {HTMLElement} place
   * @param {object} listeners
   * @param {(factor: string, phrase: string|null) => void} listeners.onChoose
   * @param {(factor: string, index: number) => void} listeners.onLook A word is pointed at or has the focus.
   * @param {() => void} listeners.onLeave
   */
  constructor(place, { onChoose, onLook, onLeave }) {
    Object.assign(this, { place, onChoose, onLook, onLeave });
  }

  /** Shows the words of an image; the chip that had the focus keeps it. */
  show(item, model) {
    const focused = document.activeElement?.closest?.(".word")?.dataset.factor;
    // A step was undone or redone, or another image is shown: the list is about words that no longer stand.
    if (this.#open && (this.#open.item !== item || this.#open.reading !== item.reading)) this.#close();
    if (this.#open) return;
    Object.assign(this, { item, model });
    const { words } = item.reading;
    this.place.replaceChildren(
      ...(words.length ? words.map((word) => this.#word(word)) : [element("p", { class: "soft" }, text("words.none"))]),
    );
    this.#leave();
    if (focused) this.#focus(this.#chip(focused));
  }

  /** Opens the list of the word at a position, from 0; does nothing where there is none. */
  openAt(position) {
    const word = this.item?.reading?.words[position];
    if (word && this.model.can_refine && !this.item.busy) this.#openList(word);
  }

  #chip(factor) {
    const rows = [...this.place.querySelectorAll(".word")];
    return rows.find((row) => row.dataset.factor === factor)?.querySelector(".chip");
  }

  #word(word) {
    const chip = element(
      "button",
      {
        type: "button", class: `chip ${word.saidBy}`, "aria-haspopup": "listbox", "aria-expanded": "false",
        "aria-disabled": this.item.busy || !this.model.can_refine ? "true" : null,
        on: { click: () => this.openAt(this.item.reading.words.indexOf(word)) },
      },
      element(
        "span", { class: "chip-title" }, element("span", { lang: "en" }, word.title),
        word.saidBy === "model" ? element("span", { class: "unseen" }, text("who.model"))
          : element("span", { class: "who" }, text(`who.${word.saidBy}`)),
      ),
      element("span", { class: "chip-phrase", lang: "en" }, word.phrase),
      element("span", { class: "chip-share" }, percent(word.confidence)),
      element("progress", { class: "meter", max: 1, value: word.confidence, "aria-hidden": "true" }),
    );
    // A chip that comes under a resting pointer is not pointed at: only one that moves counts.
    for (const event of ["pointermove", "focus"]) chip.addEventListener(event, () => this.#look(chip, word));
    for (const event of ["pointerleave", "blur"]) chip.addEventListener(event, () => this.#leave());
    return element("div", { class: "word", "data-factor": word.factor }, chip, ...this.#notes(word));
  }

  #look(chip, word) {
    if (this.#open || this.#looked === chip) return;
    this.#looked = chip;
    this.onLook(word.factor, word.index);
  }

  #leave() {
    if (this.#open) return;
    this.#looked = null;
    this.onLeave();
  }

  /** Gives a chip the focus without showing where its word acts, so that the mask is seen as it is. */
  #focus(chip) {
    this.#looked = chip;
    chip?.focus();
  }

  #notes(word) {
    const notes = [];
    if (word.phrase !== word.retrieved) {
      notes.push(element("p", { class: "word-note" }, text("word.was", { phrase: word.retrieved })));
    }
    const measured = this.item.reading.measured?.[word.factor];
    if (measured && measured !== word.phrase) {
      notes.push(element("p", { class: "word-note differs" }, text("word.measured", { phrase: measured })));
    }
    return notes;
  }

  #openList(word) {
    this.#close();
    const factor = this.model.vocabulary.factors.find(({ name }) => name === word.factor);
    const { probabilities } = this.item.result.words.find((known) => known.factor === word.factor);
    const phrases = factor.phrases.map(({ index, phrase }) => ({ index, phrase, probability: probabilities[index] }));
    const list = phraseList(
      { title: word.title, phrases, selected: word.index, canWithdraw: word.saidBy === "person" },
      {
        onChoose: (phrase) => {
          this.#close({ focus: true });
          this.onChoose(word.factor, phrase);
        },
        onLook: (index) => this.onLook(word.factor, index),
        onClose: () => this.#close({ focus: true }),
      },
    );
    const chip = this.#chip(word.factor);
    chip.setAttribute("aria-expanded", "true");
    this.#open = { item: this.item, reading: this.item.reading, list, chip };
    chip.after(list);
    list.begin();
  }

  #close({ focus = false } = {}) {
    if (!this.#open) return;
    const { list, chip } = this.#open;
    this.#open = null;
    // Only a list that still has the focus gives it back.
    const back = focus && list.contains(document.activeElement);
    list.remove();
    chip.setAttribute("aria-expanded", "false");
    this.#leave();
    if (back) this.#focus(chip);
  }
}
