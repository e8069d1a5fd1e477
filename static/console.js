/* The console's own script: theme, relative times, live streams, keys. No inline handlers, nothing evaluated. */
(() => {
  "use strict";

  /* --- Theme: before the page is drawn, so that nothing flashes --------------------------------------- */

  const root = document.documentElement;
  const kept = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  if (kept()) root.dataset.theme = kept();
  root.classList.add("js");

  function toggleTheme() {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* a private window keeps nothing */ }
  }

  /* --- Times ------------------------------------------------------------------------------------------- */

  const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "narrow" });

  function timeWords(iso) {
    const seconds = (Date.parse(iso) - Date.now()) / 1000;
    for (const [unit, size] of UNITS)
      if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit);
    return Math.abs(seconds) < 5 ? "now" : relative.format(Math.round(seconds), "second");
  }

  function tellTimes(scope) {
    for (const time of scope.querySelectorAll("time[data-relative]")) {
      const words = timeWords(time.dateTime);
      if (time.textContent !== words) time.textContent = words;
    }
  }

  /* --- Fragments: each replaces the element of its id, or goes where its data-into says ---------------- */

  const held = new Map(); // fragments that wait until what they would replace is no longer busy

  function patch(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    tellTimes(template.content);
    for (const fresh of [...template.content.children]) place(fresh);
  }

  function place(fresh) {
    const old = document.getElementById(fresh.id);
    if (!old) return insert(fresh);
    if (isBusy(old)) return held.set(fresh.id, fresh);
    const at = document.activeElement;
    const chosen = chosenIn(old);
    keepOpen(old, fresh);
    keepDecided(old, fresh);
    keepAnswers(old, fresh);
    if (old.isEqualNode(fresh)) return;
    old.replaceWith(fresh);
    announce(fresh, "changed");
    const focused = fresh.contains(at) ? at : chosen && document.getElementById(chosen);
    if (focused) focused.focus({ preventScroll: true });
  }

  function insert(fresh) {
    const list = document.getElementById(fresh.dataset.into || "");
    if (!list) return;
    fresh.dataset.place === "end" ? list.append(fresh) : list.prepend(fresh);
    document.querySelector(`[data-empty-of="${list.id}"]`)?.remove();
    const most = Number(list.dataset.most || 0);
    while (most && list.children.length > most)
      (fresh.dataset.place === "end" ? list.firstElementChild : list.lastElementChild).remove();
    announce(fresh, "new");
  }

  function announce(element, how) {
    if (window.htmx) htmx.process(element);
    element.classList.add("is-" + how);
    element.addEventListener("animationend", () => element.classList.remove("is-" + how), { once: true });
  }

  // While an answer is under way or being typed: what came of it must find its place.
  const isBusy = (element) => {
    return element.querySelector(".htmx-request") !== null || (isTyping(element) && !element.querySelector("[data-question]"));
  };
  const isTyping = (element) => element.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");
  const chosenIn = (element) => element.contains(document.activeElement) && document.activeElement.closest("[id]")?.id;
  const keepOpen = (old, fresh) =>
    old.querySelectorAll("details").forEach((details, place) => {
      const same = fresh.querySelectorAll("details")[place];
      if (same && details.open) same.open = true;
    });

  // (Answers are swapped with settle:0ms: while htmx settles, a new element still has its predecessor's class.)
  // What somebody just decided stays where it was, with what came of it, until the page is left.
  function keepDecided(old, fresh) {
    for (const decided of old.querySelectorAll(":scope > .decided")) {
      const stale = fresh.querySelector("#" + CSS.escape(decided.id));
      if (stale) { stale.replaceWith(decided.cloneNode(true)); continue; }
      let next = decided.nextElementSibling;
      while (next && !fresh.querySelector("#" + CSS.escape(next.id || "none"))) next = next.nextElementSibling;
      fresh.insertBefore(decided.cloneNode(true), next ? fresh.querySelector("#" + CSS.escape(next.id)) : null);
    }
  }

  // A question that somebody has begun to answer keeps what was filled in.
  function keepAnswers(old, fresh) {
    for (const question of old.querySelectorAll("[data-question]")) {
      const begun = isTyping(question) || [...question.querySelectorAll("input:not([type=hidden])")].some((each) => each.type === "checkbox" ? each.checked : each.value);
      if (begun) fresh.querySelector("#" + CSS.escape(question.id))?.replaceWith(question);
    }
  }

  function release() {
    for (const [id, fresh] of [...held]) {
      const old = document.getElementById(id);
      if (old && isBusy(old)) continue;
      held.delete(id);
      place(fresh);
    }
  }

  /* --- The stream: one for a page, closed while nobody looks (a browser has six for a server) ----------- */

  let source = null;
  let last = "";
  let tries = 0;

  function follow() {
    const main = document.querySelector("[data-stream]");
    if (!main || source || document.hidden) return;
    const address = new URL(main.dataset.stream, location.href);
    address.searchParams.set("after", last || main.dataset.after || "0");
    source = new EventSource(address);
    source.onopen = () => { tries = 0; say("live"); };
    source.addEventListener("patch", (event) => { last = event.lastEventId || last; patch(event.data); });
    source.addEventListener("bye", () => { leave(); say("signed out"); });
    source.onerror = () => {
      say("connecting…");
      if (!source || source.readyState !== EventSource.CLOSED) return;
      leave();
      tries += 1;
      if (tries < 20) setTimeout(follow, Math.min(30000, 500 * 2 ** tries));
      else say("not live: reload");
    };
  }

  function leave() {
    if (source) source.close();
    source = null;
  }

  function say(words) {
    const live = document.getElementById("live");
    if (!live) return;
    live.hidden = false;
    live.textContent = words;
    live.classList.toggle("is-live", words === "live");
  }

  /* --- Keys of the queue --------------------------------------------------------------------------------- */

  const questions = () => [...document.querySelectorAll("[data-question]")];

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
    const all = questions();
    if (!all.length) return;
    const at = all.findIndex((each) => each.contains(document.activeElement));
    const go = { j: at + 1, k: Math.max(0, at - 1) }[event.key];
    if (go !== undefined) {
      const next = all[Math.min(go, all.length - 1)];
      next.focus();
      next.scrollIntoView({ block: "nearest" });
    } else if (at >= 0 && event.key === "a") all[at].querySelector("[data-approve]")?.click();
    else if (at >= 0 && event.key === "r") reject(all[at]);
    else return;
    event.preventDefault();
  }

  function reject(question) {
    const reason = question.querySelector("input[name=reason]");
    if (reason?.value.trim()) question.querySelector("[data-reject]")?.click();
    else reason?.focus();
  }

  function moveOn(event) {
    const done = document.getElementById(event.detail.elt?.id || "");
    if (done?.classList.contains("decided")) done.focus({ preventScroll: true });
  }

  /* --- Wiring ------------------------------------------------------------------------------------------- */

  document.addEventListener("DOMContentLoaded", () => {
    tellTimes(document);
    setInterval(() => tellTimes(document), 5000);
    follow();
    document.querySelector("[data-theme-toggle]")?.addEventListener("click", toggleTheme);
    document.addEventListener("change", (event) => { if (event.target.matches("[data-submit]")) event.target.form.requestSubmit(); });
    document.addEventListener("keydown", key);
    for (const over of ["focusout", "htmx:afterRequest", "htmx:afterSettle"])
      document.addEventListener(over, () => setTimeout(release));
    document.addEventListener("htmx:load", (event) => { tellTimes(event.detail.elt); moveOn(event); });
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : follow()));
  addEventListener("pagehide", leave);
  addEventListener("pageshow", (event) => { if (event.persisted) follow(); });
})();
