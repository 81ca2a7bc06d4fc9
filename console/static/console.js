// What the pages do beside htmx: keys, completion, live lines, copying. Everything but live lines works without it.
"use strict";
(() => {
  const $ = (sel, from = document) => from.querySelector(sel);
  const $$ = (sel, from = document) => [...from.querySelectorAll(sel)];
  document.documentElement.classList.add("js");
  const q = $("#q"), offers = $("#offers"), body = $("#lines");
  let at = -1;

  // completion
  const options = () => (offers ? $$("li", offers) : []);
  const chosen = () => options().find((o) => o.getAttribute("aria-selected") === "true");
  const select = (option) => {
    options().forEach((o) => o.setAttribute("aria-selected", String(o === option)));
    if (option) q.setAttribute("aria-activedescendant", option.id); else q.removeAttribute("aria-activedescendant");
  };
  const close = () => { if (offers) { offers.replaceChildren(); q.setAttribute("aria-expanded", "false"); select(null); } };
  const take = (option) => {
    const cut = Number(option.dataset.cut);
    q.value = q.value.slice(0, q.value.length - cut) + option.dataset.text + (option.dataset.text.endsWith(":") ? "" : " ");
    close(); q.focus(); htmx.trigger(q, "input");
  };
  if (q) {
    q.addEventListener("keydown", (e) => {
      const all = options(), now = all.indexOf(chosen());
      if (e.isComposing) return;
      if (e.key === "ArrowDown" && all.length) { e.preventDefault(); select(all[(now + 1) % all.length]); }
      else if (e.key === "ArrowUp" && all.length) { e.preventDefault(); select(all[(now - 1 + all.length) % all.length]); }
      else if ((e.key === "Enter" || e.key === "Tab") && chosen()) { e.preventDefault(); take(chosen()); }
      else if (e.key === "Escape") { if (all.length) close(); else q.blur(); }
    });
    offers.addEventListener("mousedown", (e) => { const o = e.target.closest("li"); if (o) { e.preventDefault(); take(o); } });
    document.body.addEventListener("htmx:afterSwap", (e) => { if (e.detail.target === offers) q.setAttribute("aria-expanded", String(options().length > 0)); });
  }

  // lines: keys, a click anywhere, several chosen
  const lines = () => $$(".line");
  const move = (to) => {
    const all = lines();
    if (!all.length) return;
    all.forEach((l) => l.classList.remove("at"));
    at = Math.max(0, Math.min(to, all.length - 1));
    all[at].classList.add("at"); all[at].scrollIntoView({ block: "nearest" }); $("a", all[at]).focus({ preventScroll: true });
    const more = $("#more a");
    if (more && at === all.length - 1) more.click();
  };
  const bar = $(".chosen"), picked = () => $$(".line.picked");
  const counted = () => {
    if (!bar) return;
    const n = picked().length, said = $("[data-text]", bar);
    bar.hidden = !n; said.textContent = said.dataset.text.replace("{n}", n);
  };
  document.addEventListener("click", (e) => {
    const line = e.target.closest(".line");
    if (line && !e.target.closest("a") && !getSelection().toString()) location.href = line.dataset.href;
    const copy = e.target.closest("[data-copy],[data-copy-links]");
    if (copy) {
      const text = copy.dataset.copy ? $(copy.dataset.copy).textContent : picked().map((l) => location.origin + l.dataset.href).join("\n");
      navigator.clipboard.writeText(text).then(() => { copy.textContent = copy.dataset.done; });
    }
    const link = e.target.closest("[data-copy-link]");
    if (link) { e.preventDefault(); navigator.clipboard.writeText(link.href).then(() => { link.textContent = link.dataset.done; }); }
    if (e.target.closest("[data-clear]")) { picked().forEach((l) => l.classList.remove("picked")); counted(); }
    $$(".menu[open]").forEach((m) => { if (!m.contains(e.target)) m.open = false; });
  });
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape") $$(".menu[open]").forEach((m) => { m.open = false; $("summary", m).focus(); });
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing || e.target.closest("input,textarea,select,dialog")) return;
    const keys = $("#keys");
    if (e.key === "/" && q) { e.preventDefault(); q.focus(); q.select(); }
    else if (e.key === "j") move(at + 1);
    else if (e.key === "k") move(at - 1);
    else if (e.key === "o" && lines()[at]) location.href = lines()[at].dataset.href;
    else if (e.key === "x" && lines()[at]) { lines()[at].classList.toggle("picked"); counted(); }
    else if (e.key === "u" && $("[data-up]")) { if (document.referrer.startsWith(location.origin + "/exchanges?")) history.back(); else location.href = $("[data-up]").href; }
    else if (e.key === "?" && keys && !keys.open) keys.showModal();
  });
  // on a phone the row of pages is longer than the screen: this page is in sight
  const row = $(".top nav"), here = row && $("[aria-current]", row);
  if (here) row.scrollLeft = here.offsetLeft - (row.clientWidth - here.offsetWidth) / 2 - row.offsetLeft;

  // a reply again, at its pace
  const played = $("[data-replay]");
  if (played) {
    const button = $("button", played), box = $(".replay"), to = $("#replay"), said = $("output", box), name = button.textContent;
    let source = null;
    const stop = (why) => { if (source) source.close(); source = null; button.textContent = name; said.textContent = why || ""; };
    button.addEventListener("click", () => {
      if (source) { stop(); return; }
      to.replaceChildren(); said.textContent = ""; box.hidden = false; button.textContent = button.dataset.stop;
      source = new EventSource(played.dataset.replay + "?speed=" + $("select", played).value);
      source.addEventListener("words", (e) => { const made = document.createElement("template"); made.innerHTML = e.data; to.append(made.content); });
      source.addEventListener("end", (e) => stop(said.dataset.ended + " " + e.data));
      source.onerror = () => stop(said.dataset.off);
    });
    addEventListener("pagehide", () => stop());
  }

  // live lines: the browser connects again by itself, and says with which line it goes on
  const live = $("[data-live]");
  if (live && body) {
    const said = $("[data-on]", live), button = $("button", live), fresh = $("output", live);
    const most = 300;
    let paused = false, waiting = [];
    const show = (html) => {
      const made = document.createElement("template");
      made.innerHTML = html;
      const row = made.content.firstElementChild;
      if (!row || $(`.line[data-seq="${Number(row.dataset.seq)}"]`)) return;
      body.prepend(row);
      const empty = $(".empty"); if (empty) empty.remove();
      if (at >= 0) at += 1;
      lines().slice(most).forEach((l) => l.remove());
    };
    const source = new EventSource(live.dataset.live);
    const state = (off, text) => { live.classList.toggle("off", off); said.textContent = text; };
    source.onopen = () => state(false, said.dataset.on);
    source.onerror = () => state(true, said.dataset.off);
    source.addEventListener("held", (e) => state(true, e.data));
    source.addEventListener("on", source.onopen);
    source.addEventListener("line", (e) => {
      if (paused) { waiting.push(e.data); waiting = waiting.slice(-most); fresh.textContent = fresh.dataset.new.replace("{n}", waiting.length); } else show(e.data);
    });
    button.addEventListener("click", () => {
      paused = !paused; button.textContent = paused ? button.dataset.resume : button.dataset.pause;
      if (!paused) { waiting.forEach(show); waiting = []; fresh.textContent = ""; }
    });
    addEventListener("pagehide", () => source.close());
  }
})();
