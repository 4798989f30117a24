// Behaviour of the page without the server: repainting HTML without interrupting a player, keys,
// copying, dropped files, and the theme.
window.testudo = (() => {
  const byId = (id) => document.getElementById(id);
  const text = (english) => window.testudoTexts?.[english] ?? english; // in the language of the page
  const button = (id) => { const found = byId(id); return found && (found.matches("button") ? found : found.querySelector("button")); };

  // ---- repainting: only what changed is touched, so that players and text fields go on -------------
  const keyOf = (node) => (node.nodeType === 1 ? node.dataset.key : undefined);
  function sameKind(one, other) {
    return one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);
  }
  function adopt(old, fresh) {
    if (old.nodeType !== 1) { if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue; return; }
    if (old.matches("audio") && old.getAttribute("src") === fresh.getAttribute("src")) return;
    if (old.matches("input, textarea")) return; // keeps what is being typed
    for (const { name, value } of [...fresh.attributes]) {
      if (name === "open" || (old.matches(".queue, #queue-open") && (name === "class" || name === "aria-expanded"))) continue; // opened here
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    if (old.dataset.wave === undefined) repaint(old, fresh); // player.js draws in it
  }
  const isPlaying = (node) => [...node.querySelectorAll("audio")].some((player) => !player.paused);
  function remove(node) { // lines that are heard when the job ends stay until they end or are paused
    if (node.dataset?.partial !== undefined && isPlaying(node)) node.dataset.leaving = "true";
    else node.remove();
  }
  ["pause", "ended"].forEach((name) => document.addEventListener(name, () => setTimeout(() => { // the next line may have begun by then
    document.querySelectorAll("[data-leaving]").forEach((node) => { if (!isPlaying(node)) node.remove(); });
  }), true));
  function repaint(old, fresh) {
    let place = old.firstChild;
    for (const wanted of [...fresh.childNodes]) {
      let found = place;
      while (found && !sameKind(found, wanted)) found = keyOf(wanted) ? found.nextSibling : null;
      if (!found) { old.insertBefore(wanted, place); continue; }
      while (place !== found) { const next = place.nextSibling; remove(place); place = next; } // moving would stop a player
      place = found.nextSibling;
      adopt(found, wanted);
    }
    while (place) { const next = place.nextSibling; remove(place); place = next; }
  }
  function paint(place, html) {
    const view = byId(place);
    if (!view) { setTimeout(() => byId(place) && paint(place, html), 200); return; }
    const fresh = document.createElement("div");
    fresh.innerHTML = html;
    const root = fresh.firstElementChild;
    if (root && root.dataset.title) document.title = root.dataset.title;
    repaint(view, fresh);
    document.dispatchEvent(new Event("testudo-painted"));
  }

  // ---- change signal: a Gradio event walks the whole page, so one is sent only where something is new ----
  const watchers = new Map();
  let isAsking = false;
  const makeToken = () => Array.from({ length: 3 }, () => Math.random().toString(36).slice(2, 10)).join("");
  function watch(place, interval, onlyVisible, trigger) {
    watchers.set(place, { place, interval, onlyVisible, trigger, token: makeToken(), isShown: false, next: 0 });
    lookForChanges();
  }
  function isDue(watcher, now) {
    if (now < watcher.next) return false;
    if (!watcher.onlyVisible) return true;
    const place = byId(watcher.place); // one that is empty still is not shown, so its tab counts
    return !document.hidden && Boolean((place?.closest("[role=tabpanel]") || place)?.offsetParent);
  }
  async function lookForChanges() {
    if (isAsking) return;
    const now = Date.now();
    const due = [...watchers.values()].filter((watcher) => isDue(watcher, now));
    const known = due.filter((watcher) => watcher.isShown);
    for (const watcher of due) {
      watcher.next = now + watcher.interval;
      if (!watcher.isShown) watcher.trigger(watcher.token);
      watcher.isShown = true;
    }
    if (!known.length) return;
    isAsking = true;
    try {
      const answer = await fetch(`changes?tokens=${known.map((watcher) => watcher.token).join(",")}`);
      const { changed } = answer.ok ? await answer.json() : { changed: [] };
      for (const watcher of known) if (changed.includes(watcher.token)) watcher.trigger(watcher.token);
    } catch { /* the server is stopped; asked again soon */ } finally { isAsking = false; }
  }
  setInterval(lookForChanges, 500);
  document.addEventListener("visibilitychange", lookForChanges);
  document.addEventListener("click", () => setTimeout(lookForChanges, 60)); // a tab was chosen

  // ---- keys ------------------------------------------------------------------------------------
  const isTyping = (node) => node && node.closest && node.closest("input, textarea, select, [contenteditable=true]");
  const onGenerate = () => { const run = byId("generate-run"); return run && run.offsetParent !== null; };
  function playTake(number) {
    const players = document.querySelectorAll("#generate-jobs-view .job.newest .side-by-side audio");
    const chosen = players[number - 1];
    if (!chosen) return false;
    const going = !chosen.paused;
    document.querySelectorAll("audio").forEach((player) => player.pause());
    if (!going) { chosen.currentTime = 0; chosen.play(); }
    return true;
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && queueIsOpen()) { openQueue(false); byId("queue-open").focus(); return; }
    if (!onGenerate()) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      const field = document.activeElement;
      if (field && field.blur) { field.blur(); field.focus(); } // sends what was typed first
      setTimeout(() => button("generate-run")?.click(), 60);
    } else if (event.key === "Escape" && !document.querySelector("[role=listbox], dialog[open]")) {
      openQueue(Boolean(document.querySelector("[data-act=stop-after]")), true); // asks how to stop
    } else if (/^[1-9]$/.test(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping(event.target)) {
      if (playTake(Number(event.key))) event.preventDefault();
    }
  }, true);

  // ---- the queue, over every tab --------------------------------------------------------------
  function openQueue(isOpen, focus = false) {
    const queue = document.querySelector(".queue");
    if (!queue) return;
    queue.classList.toggle("is-open", isOpen);
    byId("queue-open").setAttribute("aria-expanded", String(isOpen));
    if (isOpen && focus) (queue.querySelector("[data-place='0'] [data-act=cancel]") || byId("queue-close"))?.focus();
  }
  const queueIsOpen = () => Boolean(document.querySelector(".queue.is-open"));
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#queue-open")) openQueue(!queueIsOpen(), true);
    else if (event.target.closest?.("#queue-close")) openQueue(false);
  });
  let moved = null;
  document.addEventListener("dragstart", (event) => { moved = event.target.closest?.("[data-queued][draggable]") || null; });
  document.addEventListener("dragover", (event) => { if (moved && event.target.closest?.("[data-queued][draggable]")) event.preventDefault(); });
  document.addEventListener("drop", (event) => {
    const place = moved && event.target.closest?.("[data-queued][draggable]");
    const act = place && place !== moved && moved.querySelector("[data-act=cancel]").cloneNode(true);
    if (act) {
      event.preventDefault();
      Object.assign(act.dataset, { act: "move", value: place.dataset.place });
      act.hidden = true;
      moved.append(act);
      act.click();
      act.remove();
    }
    moved = null;
  });

  // one player at a time
  document.addEventListener("play", (event) => {
    document.querySelectorAll("audio").forEach((player) => { if (player !== event.target) player.pause(); });
  }, true);

  // ---- buttons inside painted HTML --------------------------------------------------
  async function copy(copied, button) {
    try { await navigator.clipboard.writeText(copied); } catch {
      const field = document.createElement("textarea");
      field.value = copied; document.body.append(field); field.select();
      document.execCommand("copy"); field.remove();
    }
    const was = button.textContent;
    button.textContent = text("Copied");
    setTimeout(() => { button.textContent = was; }, 1500);
  }
  document.addEventListener("click", (event) => {
    const pressed = event.target.closest?.("[data-copy]");
    if (pressed) copy(pressed.dataset.copy, pressed);
  });
  document.addEventListener("click", (event) => { // plays the recording beside it from a time on
    const player = event.target.closest?.("[data-seek]")?.closest(".job")?.querySelector("audio");
    if (!player) return;
    player.currentTime = Number(event.target.closest("[data-seek]").dataset.seek);
    player.play();
  });
  function readAction(event) { // what a button with data-act asks the server for: its data-* and the fields beside it
    const pressed = event.target.closest("[data-act]");
    if (!pressed || pressed.disabled) return null;
    const action = { ...pressed.dataset };
    const line = pressed.closest("[data-line]"), scope = line || pressed.closest("details, article");
    scope?.querySelectorAll("[data-field]").forEach((field) => {
      if (!line && field.closest("details, article") !== scope) return;
      action[field.dataset.field] = field.value;
      if (field.matches("textarea")) action.caret = String(field.selectionStart);
    });
    return action;
  }

  // ---- a clip dropped anywhere on the tab Generate ----------------------------------------------
  const carriesFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
  document.addEventListener("dragover", (event) => {
    if (carriesFiles(event) && onGenerate()) { event.preventDefault(); document.body.classList.add("dropping"); }
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("dropping");
    if (!carriesFiles(event) || !onGenerate() || event.target.closest(".upload-container, [data-testid=upload-button], .audio-container")) return;
    const field = byId("generate-drop")?.querySelector("input[type=file]");
    if (!field) return;
    event.preventDefault();
    field.files = event.dataTransfer.files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  });

  // what is typed beside a slider may be outside of its range
  function clamp(values, ranges) {
    return ranges.map((range, at) => (range && typeof values[at] === "number" ? Math.min(Math.max(values[at], range[0]), range[1]) : values[at]));
  }

  // ---- theme -------------------------------------------------------------------------------------
  const themes = { system: text("System"), light: text("Light"), dark: text("Dark") };
  function applyTheme() {
    const theme = currentTheme();
    const dark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    document.body.classList.toggle("dark", dark);
  }
  function currentTheme() {
    try { return localStorage.getItem("testudo-look") || "system"; } catch { return "system"; }
  }
  function nextTheme() {
    const names = Object.keys(themes);
    const theme = names[(names.indexOf(currentTheme()) + 1) % names.length];
    try { localStorage.setItem("testudo-look", theme); } catch { /* not in a private window */ }
    applyTheme();
    labelTheme();
  }
  function labelTheme() {
    const button = byId("theme-switch");
    if (button) button.textContent = `${text("Theme")}: ${themes[currentTheme()]}`;
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
  document.addEventListener("DOMContentLoaded", applyTheme);
  document.addEventListener("click", (event) => { if (event.target.closest?.("#theme-switch")) nextTheme(); });

  return { paint, watch, watchers, clamp, repaint, readAction, labelTheme, text };
})();
