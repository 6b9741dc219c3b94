// A reading: what is known of an image at one step, by the model alone or after a person said something.
import { pngBlob } from "./pictures.js";

/**
 * Returns the reading of the model.
 * @param {object} result A result of POST /v1/predict.
 */
export function modelReading(result) {
  return {
    words: result.words.map((word) => ({
      factor: word.factor, title: word.title, index: word.index, phrase: word.phrase, saidBy: "model",
      retrieved: word.phrase, confidence: word.confidence,
    })),
    ...commonParts(result),
    mask: pngBlob(result.mask),
    shownMask: pngBlob(result.preview.mask),
    outlines: result.preview.outlines,
    overlap: null,
    unread: [],
  };
}

/**
 * Returns the reading after a person said something.
 * @param {object} refined The refined part of an answer of POST /v1/refine.
 */
export function refinedReading(refined) {
  return {
    words: refined.words.map((word) => ({
      factor: word.factor, title: word.title, index: word.index, phrase: word.phrase, saidBy: word.said_by,
      retrieved: word.retrieved, confidence: word.confidence,
    })),
    ...commonParts(refined),
    mask: pngBlob(refined.mask),
    shownMask: pngBlob(refined.preview_mask),
    outlines: refined.preview_outlines,
    overlap: refined.overlap,
    unread: refined.unread,
  };
}

function commonParts(answer) {
  return {
    measured: answer.measured, agreement: answer.agreement, flagged: answer.flagged, reasons: answer.reasons,
    expectedDice: answer.expected_dice, areaPx: answer.area_px, areaMm2: answer.area_mm2,
  };
}

/**
 * Returns a reading in which a person's words stand that move no mask.
 * @param {object} reading The reading of the model.
 * @param {Map<string, string>} stated Phrase per factor.
 * @param {object} result The result of the model, for the probabilities of all phrases.
 * @param {object} vocabulary The vocabulary of the model.
 */
export function notedReading(reading, stated, result, vocabulary) {
  const words = reading.words.map((word, position) => {
    const phrase = stated.get(word.factor);
    if (phrase === undefined) return word;
    const { index } = vocabulary.factors[position].phrases.find((known) => known.phrase === phrase);
    return { ...word, index, phrase, saidBy: "person", confidence: result.words[position].probabilities[index] };
  });
  return { ...reading, words };
}

/** Returns what a person said in a reading: phrase per factor. */
export const statedIn = (reading) =>
  new Map(reading.words.filter((word) => word.saidBy === "person").map((word) => [word.factor, word.phrase]));

/** Returns all pixels of the foreground classes together. */
export const areaOf = (reading) => Object.values(reading.areaPx).reduce((sum, pixels) => sum + pixels, 0);
