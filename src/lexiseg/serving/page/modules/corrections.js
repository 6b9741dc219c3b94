// Corrections: a person says a word, the mask follows, and each step can be undone.
import { notedReading, refinedReading, statedIn } from "./readings.js";
import { refine } from "./server.js";

/** Returns whether a phrase of a factor moves masks of a model. */
function moves(vocabulary, factor, phrase) {
  const known = vocabulary.factors.find(({ name }) => name === factor);
  return known.phrases.some((entry) => entry.phrase === phrase && entry.moves_mask);
}

/** Returns the reading of an image under what a person states: phrase per factor. */
async function readingUnder(item, model, stated) {
  const first = item.steps[0].reading;
  if (!stated.size) return first;
  const moving = [...stated].some(([factor, phrase]) => moves(model.vocabulary, factor, phrase));
  if (!moving) return notedReading(first, stated, item.result, model.vocabulary);
  return refinedReading(await refine(item.file, model, Object.fromEntries(stated)));
}

/**
 * Says that a phrase is right; null withdraws what was said of the factor.
 * @returns {Promise<object>} The step that was added.
 */
export async function sayPhrase(item, model, factor, phrase) {
  const before = item.reading;
  const stated = statedIn(before);
  const word = before.words.find((known) => known.factor === factor);
  if (phrase === null) stated.delete(factor);
  else stated.set(factor, phrase);
  const reading = await readingUnder(item, model, stated);
  const kind = phrase === null ? "withdrawn" : phrase === word.phrase ? "confirmed" : "chosen";
  const step = { kind, title: word.title, from: word.phrase, to: phrase, said: Object.fromEntries(stated), reading };
  item.addStep(step);
  return step;
}

/**
 * Says something in free words. What was said before stays, unless the new words are about the same factor.
 * @returns {Promise<object>} The step that was added.
 */
export async function sayFreely(item, model, spoken) {
  const before = statedIn(item.reading);
  let reading = refinedReading(await refine(item.file, model, spoken));
  const understood = statedIn(reading);
  const unread = reading.unread;
  const stated = new Map([...before, ...understood]);
  if (stated.size > understood.size) reading = await readingUnder(item, model, stated);
  const words = reading.words.filter((word) => understood.has(word.factor)).map((word) => word.phrase);
  const step = {
    kind: "free", spoken, to: words.join("; "), said: Object.fromEntries(stated), reading: { ...reading, unread },
  };
  item.addStep(step);
  return step;
}

export const canUndo = (item) => item.position > 0;
export const canRedo = (item) => item.position < item.steps.length - 1;
