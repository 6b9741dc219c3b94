// Where phrases act: maps of the model, fetched once each.
import { pixelsOf, zoneFill } from "./pictures.js";
import { zone } from "./server.js";

const fetched = new Map();

/** Returns the drawn map of a phrase; null where the model has none. */
export function zoneOf(model, factor, index) {
  const known = model.vocabulary.factors.find(({ name }) => name === factor).phrases[index];
  if (!known.has_zone) return Promise.resolve(null);
  const key = [model.version, factor, index].join("/");
  if (!fetched.has(key)) {
    const drawn = zone(model.name, factor, index).then(pixelsOf).then(zoneFill);
    drawn.catch(() => fetched.delete(key));
    fetched.set(key, drawn);
  }
  return fetched.get(key);
}
