// The Settings tab: the list of sections at its side, and the search.
(() => {
  const byId = (id) => document.getElementById(id);
  const links = () => [...document.querySelectorAll("[data-section]")];
  function mark(id) {
    links().forEach((link) => { if (link.dataset.section === id) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current"); });
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-section]");
    const section = link && byId(link.dataset.section);
    if (!section) return;
    section.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    mark(section.id);
    section.querySelector(":scope > .block .label-wrap:not(.open)")?.click(); // a section that is one fold
    const heading = section.querySelector("h2, h3");
    if (heading) { heading.tabIndex = -1; heading.focus({ preventScroll: true }); }
  });
  document.addEventListener("input", (event) => {
    if (!event.target.matches?.("[data-find-setting]")) return;
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (node) => words.every((word) => node.textContent.toLowerCase().includes(word));
    let found = 0;
    document.querySelectorAll(".settings-section").forEach((section) => {
      const controls = [...section.querySelectorAll(".setting-group .block[id^=settings-]")];
      controls.forEach((control) => control.classList.toggle("not-found", !fits(control)));
      const hits = controls.length ? controls.filter(fits).length : Number(fits(section));
      section.classList.toggle("not-found", !hits);
      links().find((link) => link.dataset.section === section.id)?.parentElement.classList.toggle("not-found", !hits);
      found += hits;
    });
    const told = document.querySelector("[data-found]");
    if (told) told.textContent = words.length ? window.testudo.text("{n} found").replace("{n}", found) : "";
  });
})();
