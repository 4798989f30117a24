// The review list of a dataset: the current clip, the player, keys and buttons.
// Runs once after gr.HTML created `element`; `props.value` is the HTML from the server.
const player = document.createElement("audio");
player.hidden = true;
let playing = null; // the address in the player
let current = null; // the id of the clip that keys apply to
element.append(player);

const view = () => element.querySelector("#training-review-view");
const rows = () => [...view().querySelectorAll(".review-row")];
const rowOf = (ref) => rows().find((row) => row.dataset.ref === ref);
const isField = (node) => node.matches("textarea, input");

function mark() { // Tab reaches the current row; keys move on from there
  const all = rows();
  if (!all.some((row) => row.dataset.ref === current)) current = all[0]?.dataset.ref ?? null;
  for (const row of all) {
    const here = row.dataset.ref === current;
    row.tabIndex = here ? 0 : -1;
    row.classList.toggle("is-current", here);
  }
  for (const button of view().querySelectorAll("[data-play]")) {
    const going = button.dataset.play === playing && !player.paused;
    const sign = going ? "❚❚" : "▶";
    button.classList.toggle("is-playing", going);
    if (button.firstElementChild.textContent !== sign) button.firstElementChild.textContent = sign;
  }
}

let landing = null; // the row to focus once another page is painted: "first" or "last"
function paint(html) {
  if (!html || !view()) return;
  const before = rows();
  const at = before.findIndex((row) => row.contains(document.activeElement));
  const fresh = document.createElement("div");
  fresh.innerHTML = html;
  window.testudo.repaint(view(), fresh);
  const now = rows();
  if (landing && now[0] && now[0] !== before[0]) {
    current = now[landing === "last" ? now.length - 1 : 0].dataset.ref;
    landing = null;
    mark();
    rowOf(current).focus();
  } else if (at >= 0 && now.length && !view().contains(document.activeElement)) {
    current = now[Math.min(at, now.length - 1)].dataset.ref; // the clip is no longer listed
    mark();
    rowOf(current).focus();
  } else mark();
}

// ---- playing -----------------------------------------------------------------------------------
function play(row) {
  const address = row?.querySelector("[data-play]")?.dataset.play;
  if (!address) return;
  if (playing === address && !player.paused) { player.pause(); return; }
  if (playing !== address) { playing = address; player.src = address; }
  player.play().catch(() => { playing = null; mark(); });
}
for (const event of ["play", "pause", "ended"]) player.addEventListener(event, mark);

// ---- actions ------------------------------------------------------------------------------------
function ask(act, ref, value) { trigger("click", { action: { act, ref: ref || "", value: value || "", name: view().firstElementChild?.dataset.name || "" } }); }
function save(field) {
  const text = field.value.replace(/\s+/g, " ").trim();
  if (!text) { field.value = field.dataset.was; return; }
  if (text === field.dataset.was) return;
  field.dataset.was = text;
  ask("edit", field.dataset.text, text);
}
function turn(direction, where) {
  const button = view().querySelector(`[data-turn="${direction}"]:not(:disabled)`);
  if (!button) return;
  landing = where;
  ask("page", "", button.dataset.value);
}

element.addEventListener("click", (event) => {
  const row = event.target.closest(".review-row");
  if (row && row.dataset.ref !== current) { current = row.dataset.ref; mark(); }
  if (event.target.closest("[data-play]")) { play(row); return; }
  const taken = event.target.closest("[data-take]");
  if (taken) {
    const field = view().querySelector(`[data-at="${CSS.escape(taken.dataset.take)}"]`);
    if (playing && row.querySelector("[data-play]")?.dataset.play === playing) field.value = player.currentTime.toFixed(2);
    return;
  }
  const pressed = event.target.closest("[data-act]");
  if (!pressed || pressed.disabled) {
    if (row && !event.target.closest("button, textarea, input, summary, label")) row.focus();
    return;
  }
  const { act, ref } = pressed.dataset;
  const at = act === "split" && !pressed.dataset.value ? row.querySelector("[data-at]").value : pressed.dataset.value;
  ask(act, ref, at);
});
element.addEventListener("change", (event) => { if (event.target.matches("[data-text]")) save(event.target); });
element.addEventListener("focusin", (event) => {
  const row = event.target.closest(".review-row");
  if (row && row.dataset.ref !== current) { current = row.dataset.ref; mark(); }
});

// ---- keys, while the focus is in the list ----------------------------------------
function go(step) {
  const all = rows();
  const next = all[all.findIndex((row) => row.dataset.ref === current) + step];
  if (!next) { turn(step > 0 ? "after" : "before", step > 0 ? "first" : "last"); return; }
  current = next.dataset.ref;
  mark();
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}
function press(act) { rowOf(current)?.querySelector(`.buttons [data-act="${act}"]`)?.click(); }
const KEYS = {
  j: () => go(1), arrowdown: () => go(1), k: () => go(-1), arrowup: () => go(-1),
  a: () => press("accept"), d: () => press("drop"), r: () => press("restore"), m: () => press("merge"),
  s: () => { const fold = rowOf(current)?.querySelector(".review-split"); if (fold) { fold.open = !fold.open; } },
  enter: () => { const field = rowOf(current)?.querySelector("textarea"); field?.focus(); field?.setSelectionRange(field.value.length, field.value.length); },
  " ": () => play(rowOf(current)),
  "?": () => { const keys = view().querySelector(".review-keys"); keys.open = !keys.open; },
};
element.addEventListener("keydown", (event) => {
  const field = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (field.matches("[data-text]")) {
    if (event.key === "Escape") field.value = field.dataset.was;
    else if (event.key !== "Enter") return;
    event.preventDefault();
    field.closest(".review-row").focus(); // the change event saves the text
    return;
  }
  if (isField(field)) {
    if (event.key === "Enter") { event.preventDefault(); field.closest(".at")?.querySelector("[data-act]")?.click(); }
    return;
  }
  if (field.closest("button, summary, a") && (event.key === "Enter" || event.key === " ")) return;
  const does = field.closest(".review") && KEYS[event.key.toLowerCase()];
  if (!does) return;
  event.preventDefault();
  does();
});

const show = () => paint(props.value);
watch("value", show);
show();
