// Keeps the last clips that were spoken in the cache of the browser, and a page that plays them while
// the studio cannot be reached. All other requests go to the studio as without it.
const CLIPS = "clips", PAGES = "pages", PAGE = "offline.html", MOST_CLIPS = 20, MOST_BYTES = 20e6;

self.addEventListener("install", (event) => event.waitUntil(
  caches.open(PAGES).then((cache) => cache.add(PAGE)).then(() => self.skipWaiting()),
));
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  if (event.request.mode !== "navigate") return;
  event.respondWith(fetch(event.request).catch(() => caches.match(PAGE)));
});
self.addEventListener("message", (event) => event.waitUntil(keep(event.data)));

async function keep({ url, title }) {
  const cache = await caches.open(CLIPS);
  if (await cache.match(url)) return;
  const answer = await fetch(url);
  if (!answer.ok || Number(answer.headers.get("content-length")) > MOST_BYTES) return;
  const headers = { "content-type": answer.headers.get("content-type"), "x-title": encodeURIComponent(title) };
  await cache.put(url, new Response(await answer.blob(), { headers }));
  const kept = await cache.keys();
  await Promise.all(kept.slice(0, Math.max(0, kept.length - MOST_CLIPS)).map((one) => cache.delete(one)));
}
