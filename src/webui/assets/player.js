// The player of a clip: its waveform with marks of the lines, speed, and the lines themselves.
(() => {
  const byId = (id) => document.getElementById(id);
  const waves = new WeakMap(); // place -> { source, player }
  let library;
  const loadLibrary = () => (library ??= import(new URL("wavesurfer/wavesurfer.esm.js", document.baseURI).href).then((found) => found.default));
  const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const audioOf = (place) => place.closest("[data-clip]")?.querySelector("audio");

  // ---- waveforms: drawn when they come into view, from peaks of the server ----------------------
  async function draw(place) {
    const source = place.dataset.wave, known = waves.get(place);
    if (known?.source === source) return;
    known?.player?.destroy();
    const entry = { source };
    waves.set(place, entry);
    const answer = await fetch(source).catch(() => null);
    const { duration, peaks } = answer?.ok ? await answer.json() : { peaks: [] };
    place.classList.toggle("is-empty", !peaks.length);
    if (!peaks.length) return;
    const WaveSurfer = await loadLibrary();
    if (waves.get(place) !== entry || !place.isConnected) return;
    entry.player = WaveSurfer.create({
      container: place.firstElementChild, media: audioOf(place), peaks: [peaks], duration, height: 56, barWidth: 2, barGap: 1,
      barRadius: 2, cursorWidth: 2, normalize: true, dragToSeek: true, waveColor: colour("--input-border-color"),
      progressColor: colour("--slider-color"), cursorColor: colour("--color-accent"),
    });
    entry.duration = duration;
    audioOf(place).preload = "metadata"; // the time is shown before it is played
    place.classList.add("is-drawn");
    mark(place);
  }
  function mark(place) {
    const duration = waves.get(place)?.duration, marks = place.querySelector(".marks");
    if (!duration || !marks) return;
    marks.replaceChildren(...linesOf(place).slice(1).map((line) => {
      const tick = document.createElement("i");
      tick.style.left = `${(100 * line.dataset.start) / duration}%`;
      return tick;
    }));
  }
  const inView = new IntersectionObserver((entries) => entries.forEach((entry) => entry.isIntersecting && draw(entry.target)));
  function refresh() { // after a repaint
    document.querySelectorAll("[data-wave]").forEach((place) => {
      inView.unobserve(place);
      inView.observe(place);
      mark(place);
    });
    const speed = readSpeed();
    document.querySelectorAll("[data-clip] select[data-speed]").forEach((list) => { list.value = speed; });
  }

  // ---- speed of playback ------------------------------------------------------------------------
  function readSpeed() { try { return localStorage.getItem("testudo-speed") || "1"; } catch { return "1"; } }
  document.addEventListener("change", (event) => {
    if (!event.target.matches?.("select[data-speed]")) return;
    try { localStorage.setItem("testudo-speed", event.target.value); } catch { /* not in a private window */ }
    document.querySelectorAll("[data-clip] audio").forEach((audio) => { audio.playbackRate = Number(event.target.value); });
    refresh();
  });
  document.addEventListener("play", (event) => {
    if (event.target.closest?.("[data-clip]")) event.target.playbackRate = Number(readSpeed());
  }, true);

  // ---- lines --------------------------------------------------------------------------------------
  const clipOf = (node) => node?.closest?.("[data-clip]");
  const linesOf = (node) => [...(clipOf(node)?.querySelectorAll("[data-line]") || [])];
  const currentLine = () => document.querySelector("[data-line].current");
  function select(line, focus = false) {
    document.querySelectorAll("[data-line].current").forEach((other) => other !== line && other.classList.remove("current"));
    line?.classList.add("current");
    if (focus) line?.focus();
  }
  let stopAt = null; // { audio, time }: where the line that is played alone ends
  function playLine(line) {
    const audio = clipOf(line)?.querySelector("audio");
    if (!audio) return;
    select(line);
    if (!audio.paused && stopAt?.line === line) { audio.pause(); return; }
    const start = () => {
      audio.currentTime = Number(line.dataset.start);
      stopAt = { audio, line, time: Number(line.dataset.end) };
      audio.play();
    };
    if (audio.readyState) start();
    else { audio.preload = "auto"; audio.addEventListener("loadedmetadata", start, { once: true }); audio.load(); }
  }
  document.addEventListener("testudo-seek", () => { stopAt = null; }); // words.js goes to a word
  document.addEventListener("timeupdate", (event) => {
    const audio = event.target, clip = clipOf(audio);
    if (!clip || audio.paused) return;
    if (stopAt?.audio === audio && audio.currentTime >= stopAt.time) { stopAt = null; audio.pause(); return; }
    const line = linesOf(audio).find((one) => audio.currentTime >= one.dataset.start && audio.currentTime < one.dataset.end);
    if (line && !line.classList.contains("current")) select(line);
  }, true);
  document.addEventListener("ended", (event) => { // goes on with the next line that is ready
    const next = event.target.closest?.("[data-partial] .take")?.nextElementSibling?.querySelector("audio");
    next?.play();
  }, true);
  document.addEventListener("click", (event) => {
    const line = event.target.closest?.("[data-line]");
    if (!line) return;
    if (event.target.closest("[data-play]")) playLine(line);
    else if (!event.target.closest("button, summary, input, textarea, select")) select(line, true);
  });
  document.addEventListener("focusin", (event) => { const line = event.target.closest?.("[data-line]"); if (line) select(line); });
  document.addEventListener("input", (event) => { // a changed text wants to be regenerated
    const line = event.target.closest?.("[data-line]");
    if (line && event.target.matches("[data-field=text]")) line.classList.toggle("changed", event.target.value.trim() !== event.target.defaultValue.trim());
  });
  const press = (line, act) => { const found = line?.querySelector(`[data-act="${act}"]`); found?.click(); return Boolean(found); };
  function step(by) {
    const line = currentLine(), lines = linesOf(line || document.querySelector(".job.newest [data-line]"));
    const next = lines[line ? lines.indexOf(line) + by : 0];
    if (next) { select(next, true); next.scrollIntoView({ block: "nearest" }); }
    return Boolean(next);
  }
  function togglePlay() {
    const audio = (clipOf(currentLine()) || document.querySelector(".job.newest [data-clip]"))?.querySelector("audio");
    if (!audio) return false;
    stopAt = null;
    if (audio.paused) audio.play(); else audio.pause();
    return true;
  }
  const keys = {
    " ": togglePlay,
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    r: () => press(currentLine(), "redo"),
    s: () => { const star = (currentLine() ? currentLine().closest(".job") : document.querySelector(".job.newest"))?.querySelector("[data-act=star]"); star?.click(); return Boolean(star); },
  };
  document.addEventListener("keydown", (event) => {
    const target = event.target, plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (!plain || byId("generate-run")?.offsetParent == null) return;
    if (event.key === "Enter" && !event.shiftKey && target.matches?.("[data-line] [data-field=text]")) {
      event.preventDefault();
      press(target.closest("[data-line]"), "redo");
      return;
    }
    if (target.closest?.("input, textarea, select, summary, button, a, audio, [contenteditable=true], [role=tab], [role=listbox]")) return;
    const take = /^[1-9]$/.test(event.key) && currentLine()?.querySelectorAll("[data-take]")[Number(event.key) - 1];
    if (take) { take.click(); event.preventDefault(); event.stopImmediatePropagation(); return; }
    if (keys[event.key.length === 1 ? event.key.toLowerCase() : event.key]?.()) event.preventDefault();
  }, true);

  // ---- options under Advanced are found by their name or help ---------------------------------------
  function findOptions(words) {
    document.querySelectorAll("#generate-advanced .block[id^=generate-]").forEach((block) => {
      if (block.id === "generate-option-search") return;
      block.classList.toggle("not-found", !words.every((word) => block.textContent.toLowerCase().includes(word)));
    });
  }
  document.addEventListener("input", (event) => {
    if (!event.target.matches?.("[data-find-option]")) return;
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    findOptions(words);
    if (!words.length) return;
    document.querySelectorAll("#generate-advanced .group .label-wrap:not(.open)").forEach((fold) => fold.click());
    setTimeout(() => findOptions(words), 300); // what lies in a fold is drawn a moment after it opens
  });

  // ---- the list of keys, under ? ---------------------------------------------------------------------
  const { text } = window.testudo;
  const shortcuts = [
    [text("Ctrl + Enter"), text("Generate")], ["Esc", text("Ask how to stop")], [text("Space"), text("Play or pause the clip")],
    [text("1 to 9"), text("Play a take; with a line selected, use it")], ["↑ ↓", text("Select a line")], ["R", text("Regenerate the line")],
    ["Enter", text("In the text of a line: regenerate it")], ["S", text("Star the clip")], ["?", text("This list")],
  ];
  function showKeys() {
    let dialog = byId("keys");
    if (!dialog) {
      dialog = document.createElement("dialog");
      dialog.id = "keys";
      dialog.setAttribute("aria-label", text("Keyboard shortcuts"));
      dialog.innerHTML = `<h2>${text("Keyboard shortcuts")}</h2><dl>${shortcuts.map(([key, what]) => `<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`).join("")}</dl><form method="dialog"><button class="small">${text("Close")}</button></form>`;
      document.querySelector(".gradio-container").append(dialog);
    }
    dialog.showModal();
  }
  document.addEventListener("click", (event) => { if (event.target.closest?.("#keys-open")) showKeys(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "?" && !event.defaultPrevented && !event.target.closest?.("input, textarea, [contenteditable=true]")) { event.preventDefault(); showKeys(); }
  });

  // ---- lines are put in another order by dragging their handle -------------------------------------
  let dragged = null;
  document.addEventListener("dragstart", (event) => {
    dragged = event.target.closest?.("[data-handle]")?.closest("[data-line]") || null;
    if (dragged) event.dataTransfer.effectAllowed = "move";
  });
  document.addEventListener("dragover", (event) => {
    const line = dragged && event.target.closest?.("[data-line]");
    if (line && clipOf(line) === clipOf(dragged)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    const line = dragged && event.target.closest?.("[data-line]");
    if (line && line !== dragged && clipOf(line) === clipOf(dragged)) {
      event.preventDefault();
      const move = dragged.querySelector("[data-act=move]");
      move.dataset.value = `${dragged.dataset.line}/${line.dataset.line}`;
      move.click();
    }
    dragged = null;
  });

  document.addEventListener("click", (event) => { // a menu of a line closes when something else is clicked
    document.querySelectorAll(".line .redo[open]").forEach((menu) => { if (!menu.contains(event.target) || event.target.closest("[data-act]")) menu.open = false; });
    if (event.target.closest?.("#generate-run") && innerWidth < 900) setTimeout(() => document.querySelector(".hearing")?.scrollIntoView({ behavior: "smooth" }), 400);
  });
  let isOpening = false; // a project was opened from the list, which may be far below its card
  document.addEventListener("click", (event) => { if (event.target.closest?.("[data-act=open-project]")) isOpening = true; });
  document.addEventListener("testudo-painted", () => {
    refresh();
    const card = isOpening && document.querySelector("[data-act=close-project]")?.closest(".job");
    if (!card) return;
    isOpening = false;
    card.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  });
  new MutationObserver(() => document.querySelectorAll("[data-wave].is-drawn").forEach((place) => {
    waves.get(place)?.player?.setOptions({ waveColor: colour("--input-border-color"), progressColor: colour("--slider-color") });
  })).observe(document.documentElement, { attributes: true, attributeFilter: ["style"] }); // the theme was changed
})();
