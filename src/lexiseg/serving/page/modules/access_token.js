// The access token of a server that asks for one. It stays in memory only.
import { byId } from "./elements.js";
import { text } from "./texts.js";

let token = null;
let asking = null;

export const tokenHeaders = () => (token ? { Authorization: `Bearer ${token}` } : {});

/** Asks the reader for a token; returns whether one was given. Requests that wait share one question. */
export function askToken() {
  asking ??= new Promise((resolve) => {
    const dialog = byId("token");
    const field = byId("token-text");
    const refused = byId("token-refused");
    refused.hidden = token === null;
    refused.textContent = token === null ? "" : text("error.token");
    field.value = "";
    dialog.returnValue = "cancelled";
    dialog.addEventListener("close", () => {
      asking = null;
      token = dialog.returnValue === "given" ? field.value.trim() : token;
      field.value = "";
      resolve(dialog.returnValue === "given");
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}
