// Gold Dataset: play a turn, click the waveform, send corrected turns.
// Runs once after gr.HTML created `element`; the painted HTML is repainted beside it.
const recording = () => element.querySelector("audio");
let playUntil = null; // the end of the turn that plays, null to play on

function playFrom(start, stop) {
  const player = recording();
  if (!player) return;
  if (!player.paused && playUntil === stop && stop !== null) { player.pause(); return; }
  playUntil = stop;
  const begin = () => { player.currentTime = start; player.play().catch(() => {}); };
  if (player.readyState >= 1) begin();
  else { player.addEventListener("loadedmetadata", begin, { once: true }); player.load(); }
}
element.addEventListener("timeupdate", () => { // media events do not bubble, but are captured
  const player = recording();
  const wave = element.querySelector("[data-duration]");
  if (!player || !wave) return;
  if (playUntil !== null && player.currentTime >= playUntil) { playUntil = null; player.pause(); }
  const cursor = wave.querySelector(".gold-cursor");
  if (cursor) cursor.style.left = `${(100 * player.currentTime) / Number(wave.dataset.duration)}%`;
}, true);

function ask(act, row, values) {
  const fields = {};
  row?.querySelectorAll("[data-field]").forEach((field) => { fields[field.dataset.field] = field.value; });
  const at = recording() && recording().currentTime ? String(recording().currentTime) : "";
  trigger("click", { action: { act, index: row?.dataset.index ?? "0", was: row?.dataset.was ?? "", at, ...fields, ...values } });
}
element.addEventListener("click", (event) => {
  const wave = event.target.closest("[data-duration]");
  if (wave) {
    const box = wave.getBoundingClientRect();
    playFrom(Number(wave.dataset.duration) * (event.clientX - box.left) / box.width, null);
    return;
  }
  const row = event.target.closest("[data-from]");
  if (event.target.closest("[data-play]") && row) { playFrom(Number(row.dataset.from), Number(row.dataset.to)); return; }
  const pressed = event.target.closest("[data-act]");
  if (pressed && !pressed.disabled) ask(pressed.dataset.act, pressed.closest("[data-index]"), { value: pressed.dataset.value ?? "" });
});
element.addEventListener("change", (event) => {
  if (event.target.matches("[data-rename]")) {
    const was = event.target.closest("[data-speaker]").dataset.speaker;
    if (event.target.value.trim() && event.target.value.trim() !== was) ask("rename", null, { was, speaker: event.target.value });
    else event.target.value = was;
  } else if (event.target.matches("[data-field]")) ask("change", event.target.closest("[data-index]"), {});
});
