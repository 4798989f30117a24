// The spoken word is marked in the text while a clip plays, and a click on a word goes there.
// Marks are ranges of the CSS Custom Highlight API: the text itself is not changed, so that nothing
// is announced and a field can be edited meanwhile.
(() => {
  const MARK = "spoken-word", HOLD_S = 0.25, MAX_KEPT = 20, MAX_SKIPPED = 400, POLL_MS = 700, MAX_POLL_MS = 5000;
  const canMark = Boolean(globalThis.Highlight && CSS.highlights);
  const known = new Map(); // address of the words -> { lines, asked, isAsking, whole }
  const clipOf = (node) => node?.closest?.("[data-words]");
  const audioOf = (clip) => clip?.querySelector("audio"); // the joined clip is the first
  let playing = null, marked = null, isTap = false;
  const mirror = document.createElement("div"); // has the text of the field in which a word is marked
  mirror.className = "spoken-mirror";
  mirror.setAttribute("aria-hidden", "true");

  // ---- words of a clip: asked for at its first play, found by a job where they are not known yet ----
  async function load(clip) {
    const address = clip.dataset.words;
    if (!known.has(address)) {
      known.set(address, { address, lines: [], asked: new Set(), whole: { words: [] } });
      if (known.size > MAX_KEPT) known.delete(known.keys().next().value);
      await read(known.get(address));
    }
    return known.get(address);
  }
  async function read(entry) {
    const answer = await fetch(entry.address).catch(() => null);
    entry.lines = answer?.ok ? (await answer.json()).lines : [];
    entry.whole = { words: entry.lines.flatMap((line) => line.words) };
  }
  async function find(entry, line) {
    if (entry.isAsking || entry.asked.has(line)) return;
    entry.isAsking = true;
    try {
      const answer = await fetch(`${entry.address}&line=${line}`, { method: "POST" });
      let job = answer.ok ? await answer.json() : null, wait_ms = POLL_MS;
      while (job && ["waiting", "running"].includes(job.state)) {
        await new Promise((done) => setTimeout(done, wait_ms));
        wait_ms = Math.min(1.5 * wait_ms, MAX_POLL_MS);
        const next = await fetch(`api/jobs/${job.id}`);
        job = next.ok ? await next.json() : null;
      }
      const end = job?.result?.next_line >= 0 ? job.result.next_line : entry.lines.length;
      for (let at = line; at < end; at += 1) entry.asked.add(at);
      if (job?.state === "done") await read(entry);
    } catch { entry.asked.add(line); /* the server is stopped */ } finally { entry.isAsking = false; }
  }

  // ---- where a word is on the page --------------------------------------------------------------
  function placesOf(text, holder) { // [from, to] of each word in a text; null for one that is not in it
    if (holder.source === text) return holder.places;
    const plain = text.replace(/\[[^\]]*\]/g, (part) => " ".repeat(part.length)); // a prompt is not spoken
    let at = 0;
    holder.source = text;
    holder.places = holder.words.map(([word]) => {
      const from = plain.indexOf(word, at);
      if (from < 0 || from > at + MAX_SKIPPED) return null;
      at = from + word.length;
      return [from, at];
    });
    return holder.places;
  }
  function fieldOf(clip, line) { return clip.querySelector(`[data-line="${line}"] textarea[data-field=text]`); }
  function textOf(clip) { return clip.closest("article, section").querySelector("[data-spoken]")?.firstChild; }
  function reflect(field) { // the text node that lies over the text of a field, letter by letter
    const main = field.closest(".line-main");
    if (mirror.parentNode !== main) main.append(mirror);
    if (mirror.textContent !== field.value) mirror.textContent = field.value;
    mirror.style.cssText = `left:${field.offsetLeft}px;top:${field.offsetTop}px;width:${field.offsetWidth}px;height:${field.offsetHeight}px`;
    mirror.scrollTop = field.scrollTop;
    return mirror.firstChild;
  }
  function rangeOf(node, place) {
    const range = new Range();
    range.setStart(node, place[0]);
    range.setEnd(node, place[1]);
    return range;
  }

  // ---- marking ----------------------------------------------------------------------------------
  function clear() {
    if (canMark) CSS.highlights.delete(MARK);
    mirror.remove();
    marked = null;
  }
  function wordAt(words, time) {
    let at = words.findIndex((word) => word[1] > time);
    at = (at < 0 ? words.length : at) - 1;
    return at >= 0 && time < words[at][2] + HOLD_S ? at : -1;
  }
  function show(clip, entry, time) {
    const line = entry.lines.find((one) => time < one.end) || entry.lines.at(-1);
    if (!line) return;
    if (!line.words.length) { clear(); find(entry, line.line); return; }
    const at = wordAt(line.words, time), field = fieldOf(clip, line.line);
    const key = `${entry.address} ${line.line} ${at}`;
    if (marked === key && (!field || mirror.isConnected)) return;
    const range = at < 0 ? null : field ? inField(field, line, at) : inText(clip, entry, line, at);
    if (!range) { clear(); return; }
    if (!field) mirror.remove();
    marked = key;
    CSS.highlights.set(MARK, new Highlight(range));
  }
  function inField(field, line, at) {
    if (field.value.trim() !== field.defaultValue.trim()) return null; // a new text is not spoken yet
    const place = placesOf(field.value, line)[at];
    return place && rangeOf(reflect(field), place);
  }
  function inText(clip, entry, line, at) {
    const node = textOf(clip), before = entry.lines.slice(0, entry.lines.indexOf(line));
    const index = before.reduce((sum, one) => sum + one.words.length, at);
    const place = node && placesOf(node.data, entry.whole)[index];
    return place && rangeOf(node, place);
  }
  async function follow() {
    const audio = playing, clip = clipOf(audio);
    if (!clip || audio.paused || !audio.isConnected) { playing = null; return; }
    const entry = known.get(clip.dataset.words);
    if (entry) show(clip, entry, audio.currentTime);
    else load(clip); // a line was regenerated while it plays
    requestAnimationFrame(follow);
  }
  document.addEventListener("play", (event) => {
    const clip = clipOf(event.target);
    if (!canMark || !clip || event.target !== audioOf(clip)) return;
    load(clip);
    playing = event.target;
    requestAnimationFrame(follow);
  }, true);
  document.addEventListener("input", (event) => { if (mirror.parentNode?.contains(event.target)) clear(); });
  document.addEventListener("ended", (event) => { if (clipOf(event.target)) clear(); }, true);

  // ---- a click on a word ------------------------------------------------------------------------
  function offsetAt(event, field, words) { // the letter that was clicked; -1 where there is none
    if (field && !isTap) return field.selectionStart === field.selectionEnd ? field.selectionStart : -1;
    if (field) {
      const node = reflect(field);
      const hit = placesOf(field.value, words).find((place) => place && [...rangeOf(node, place).getClientRects()].some(
        (box) => event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom));
      return hit ? hit[0] : -1;
    }
    const caret = document.caretPositionFromPoint?.(event.clientX, event.clientY);
    return caret ? caret.offset : document.caretRangeFromPoint?.(event.clientX, event.clientY)?.startOffset ?? -1;
  }
  async function seek(event) {
    const field = event.target.closest?.("[data-words] [data-line] textarea[data-field=text]");
    const text = event.target.closest?.("[data-spoken]");
    const clip = field ? clipOf(field) : text?.closest("article, section")?.querySelector("[data-words]") || clipOf(text);
    if (!clip || (text && String(getSelection()))) return;
    const index = field ? Number(field.closest("[data-line]").dataset.line) : -1;
    if (field && field.value.trim() !== field.defaultValue.trim()) return;
    const entry = await load(clip);
    const holder = field ? entry.lines.find((line) => line.line === index) : entry.whole;
    if (!holder?.words.length) return;
    const offset = offsetAt(event, field, holder);
    const at = placesOf(field ? field.value : text.firstChild.data, holder).findIndex((place) => place && offset >= place[0] && offset <= place[1]);
    if (at < 0) return;
    const audio = audioOf(clip);
    document.dispatchEvent(new Event("testudo-seek"));
    audio.currentTime = holder.words[at][1];
    if (canMark) show(clip, entry, audio.currentTime);
  }
  const isPlaying = (node) => { const audio = audioOf(clipOf(node)); return Boolean(audio && !audio.paused); };
  document.addEventListener("pointerdown", (event) => { // while it plays a tap goes to a word, without a keyboard
    const field = event.target.closest?.("[data-words] textarea[data-field=text]");
    isTap = Boolean(field && event.pointerType !== "mouse" && isPlaying(field) && document.activeElement !== field);
  }, true);
  document.addEventListener("mousedown", (event) => { if (isTap && event.target.matches?.("textarea")) event.preventDefault(); }, true);
  document.addEventListener("click", seek);
})();
