// The History tab: selection of clips, the player of the list, and its buttons.
// Runs once after gr.HTML created `element`; `props.value` is the HTML from the server.
const chosen = new Set(); // selected one by one; the server may hold more, all of a search (data-all, data-among),
const spared = new Set(); // of which these were deselected
const player = document.createElement("audio"); // plays the clips of the list
player.hidden = true;
let playing = null;
element.append(player);

const view = () => element.querySelector("#history-list-view");
const found = () => Number(view().querySelector(".chosen").dataset.all);
const isAmong = (box) => "among" in box.closest("li").dataset; // inputs are not repainted
const isChosen = (box) => chosen.has(box.dataset.ref) || (isAmong(box) && !spared.has(box.dataset.ref));
function choose(box, on) {
  const { ref } = box.dataset;
  if (on) spared.delete(ref); else chosen.delete(ref);
  if (isAmong(box)) { if (!on) spared.add(ref); } else if (on) chosen.add(ref);
}
const boxes = () => [...view().querySelectorAll("input[data-ref]")];

function mark() { // shows what is selected and what plays, after every paint and every change
  if (!view().querySelector(".chosen")) return;
  if (!found()) spared.clear();
  const number = chosen.size + Math.max(0, found() - spared.size);
  for (const box of boxes()) {
    box.checked = isChosen(box);
    box.closest("li").classList.toggle("is-chosen", box.checked);
  }
  const all = view().querySelector("#history-all");
  const here = boxes().filter((box) => box.checked).length;
  all.checked = here > 0 && here === boxes().length;
  all.indeterminate = here > 0 && !all.checked;
  all.disabled = boxes().length === 0;
  const told = window.testudo.text("{n} selected").replace("{n}", number.toLocaleString("en"));
  const count = view().querySelector("#history-chosen");
  if (count.textContent !== told) count.textContent = told;
  view().querySelector(".chosen").classList.toggle("has-some", number > 0);
  for (const button of view().querySelectorAll("[data-needs]")) {
    const needs = Number(button.dataset.needs);
    button.disabled = needs === 2 ? number !== 2 : number < needs;
  }
  for (const button of view().querySelectorAll("[data-play]")) {
    const going = button.dataset.play === playing && !player.paused;
    button.classList.toggle("is-playing", going);
    button.firstElementChild.textContent = going ? "❚❚" : "▶";
  }
}

// Small waveforms: kept on the server, and here by the address of the clip, which changes with the file.
const bars = new Map();
const isPending = new Set();
const BATCH = 25;
function drawBars() {
  const missing = [];
  for (const place of view().querySelectorAll("svg[data-bars]")) {
    const key = place.closest("li").querySelector("[data-play]").dataset.play;
    const drawing = bars.get(key);
    if (drawing === undefined) { if (!isPending.has(key)) missing.push({ key, path: place.dataset.bars }); continue; }
    if (place.firstElementChild || !drawing) continue;
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", drawing);
    place.append(path);
  }
  for (let start = 0; start < missing.length; start += BATCH) fetchBars(missing.slice(start, start + BATCH));
}
const toPath = (digits) => [...digits].map((digit, at) => {
  const height = Math.max(1, parseInt(digit, 16));
  return `M${at} ${7.5 - height / 2}h.6v${height}h-.6z`;
}).join("");
async function fetchBars(wanted) {
  wanted.forEach(({ key }) => isPending.add(key));
  try {
    const answer = await fetch(`api/results/peaks?${wanted.map(({ path }) => `path=${encodeURIComponent(path)}`).join("&")}`);
    const found = answer.ok ? (await answer.json()).bars : {};
    wanted.forEach(({ key, path }) => bars.set(key, toPath(found[path] || "")));
    drawBars();
  } catch { /* the server is stopped; asked again with the next paint */ } finally { wanted.forEach(({ key }) => isPending.delete(key)); }
}

function paint(html) {
  if (!html || !view()) return;
  const fresh = document.createElement("div");
  fresh.innerHTML = html;
  window.testudo.repaint(view(), fresh);
  mark();
  drawBars();
}

function play(button) {
  if (playing === button.dataset.play && !player.paused) { player.pause(); return; }
  if (playing !== button.dataset.play) { playing = button.dataset.play; player.src = playing; }
  player.play().catch(() => { playing = null; mark(); });
}
for (const event of ["play", "pause", "ended"]) player.addEventListener(event, mark);

element.addEventListener("change", (event) => {
  const box = event.target;
  if (box.matches("input[data-ref]")) {
    choose(box, box.checked);
  } else if (box.id === "history-all") {
    for (const one of boxes()) choose(one, box.checked);
  }
  mark();
});

element.addEventListener("click", (event) => {
  const quick = event.target.closest("[data-play]");
  if (quick) { play(quick); return; }
  const pressed = event.target.closest("[data-act]");
  if (!pressed || pressed.disabled) return;
  ask(pressed);
});
element.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.id === "history-name") element.querySelector("#history-rename")?.click();
});

function ask(pressed) {
  const { act, ref } = pressed.dataset;
  if (act === "clear" || act === "all-found") { chosen.clear(); spared.clear(); }
  const name = pressed.parentElement.querySelector("[data-name]")?.value || "";
  const refs = [...chosen];
  trigger("click", { action: { act, ref: ref || "", refs, spared: [...spared], name } });
  if (act === "delete") chosen.clear();
  if (act === "delete-one" || act === "rename") chosen.delete(ref);
  if (act === "open" || act === "compare" || act === "bin") scroll = true;
  mark();
}

// On a phone the panel is above the list: scroll to it once it is painted.
let scroll = false;
function scrollToPanel() {
  const panel = view().querySelector(".panel");
  if (!scroll || !panel || !panel.firstElementChild) return;
  scroll = false;
  if (matchMedia("(max-width: 899px)").matches) panel.scrollIntoView({ block: "start" });
}

document.addEventListener("keydown", (event) => { // A/B compare
  if (!/^[12]$/.test(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable=true]")) return;
  const section = element.querySelector(".compared");
  if (!section || section.offsetParent === null) return;
  const one = section.querySelectorAll("audio")[Number(event.key) - 1];
  const going = !one.paused;
  section.querySelectorAll("audio").forEach((audio) => audio.pause());
  if (!going) { one.currentTime = 0; one.play(); }
  event.preventDefault();
});

const show = () => { paint(props.value); scrollToPanel(); };
watch("value", show);
show();
