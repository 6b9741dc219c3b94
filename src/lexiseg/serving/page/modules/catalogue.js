// The models of the server. A run can be replaced while the page is open; each image keeps the model that read it.
import { models } from "./server.js";

export class Catalogue {
  offered = [];

  async load() {
    this.offered = await models();
  }

  /**
   * Returns the record of the model that gave an answer, and asks the server again where it is a new version.
   * @param {{name: string, version: string}} model The model that an answer names.
   * @returns {Promise<object|null>} Null where the server offers another version already.
   */
  async recordOf(model) {
    if (!this.#find(model)) await this.load();
    return this.#find(model) ?? null;
  }

  /** Returns whether the server has another version of the model that read an image. */
  isOutdated(item) {
    return item.status === "done" && !this.#find(item.model);
  }

  #find({ name, version }) {
    return this.offered.find((record) => record.name === name && record.version === version);
  }
}
