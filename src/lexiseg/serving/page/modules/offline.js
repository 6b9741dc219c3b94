// After the first visit the page opens without the server; see service-worker.js.

export function startOffline() {
  if (!("serviceWorker" in navigator)) return;
  // Browsers refuse it, for example, in private windows; the page then only needs the server to open.
  navigator.serviceWorker.register("service-worker.js").catch((problem) => console.info(problem.message));
}
