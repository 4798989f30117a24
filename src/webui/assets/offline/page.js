// The clips that the service worker has kept, the last one first.
(async () => {
  const cache = await caches.open("clips");
  for (const request of (await cache.keys()).reverse()) {
    const answer = await cache.match(request), row = document.createElement("li");
    row.append(decodeURIComponent(answer.headers.get("x-title")), document.createElement("br"));
    const player = row.appendChild(document.createElement("audio"));
    player.controls = true;
    player.src = URL.createObjectURL(await answer.blob());
    document.getElementById("clips").append(row);
  }
})();
