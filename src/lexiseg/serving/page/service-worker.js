// Keeps the files of the page, and nothing else, so that it opens without the server. The server comes first: a new
// version of the page is used as soon as the server has one. No image and no answer is kept.
const KEPT = "lexiseg-page";
const FILES = [
  "./", "icon.svg", "page_style/tokens.css", "styles/layout.css", "styles/controls.css", "styles/print.css",
  "texts/en.js", "texts/de.js",
  "modules/access_token.js", "modules/case_panel.js", "modules/cases.js", "modules/catalogue.js",
  "modules/corrections.js",
  "modules/elements.js", "modules/exports.js", "modules/finding_panel.js", "modules/history_panel.js",
  "modules/image_view.js", "modules/intake.js", "modules/keys.js", "modules/main.js", "modules/notices.js",
  "modules/offline.js", "modules/phrase_list.js", "modules/pictures.js", "modules/prediction_queue.js",
  "modules/readings.js", "modules/server.js", "modules/stage.js", "modules/texts.js", "modules/theme.js",
  "modules/word_panel.js", "modules/zones.js",
];
const addresses = new Set(FILES.map((file) => new URL(file, self.registration.scope).href));

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((kept) => kept.addAll(FILES)).then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !addresses.has(request.url)) return;
  event.respondWith(answer(request));
});

async function answer(request) {
  const kept = await caches.open(KEPT);
  try {
    // Asks the server even where the browser holds a copy that looks fresh.
    const fresh = await fetch(request, { cache: "no-cache" });
    if (fresh.ok) await kept.put(request, fresh.clone());
    return fresh;
  } catch (problem) {
    const known = await kept.match(request);
    if (known) return known;
    throw problem;
  }
}
