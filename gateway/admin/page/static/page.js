// @ts-check
"use strict";
// The HTML says everything; this only fetches it again and again, and carries over what has changed, so that
// focus, selection, scrolling and what was opened stay.

const EVERY = 2000; // milliseconds between two looks
const PATIENCE = 5000; // after which a look has failed

/** Seconds by which the gateway's clock is ahead of this one. */
let ahead = 0;
let asOf = NaN;
let paused = false;
let isLost = false;
let isLooking = false;

const by = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** Whole seconds as words, as `duration` of words.py has them. @param {number} seconds */
function duration(seconds) {
  const s = Math.max(0, Math.trunc(seconds));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.trunc(s / 60)} min ${two(s % 60)} s`;
  if (s < 86400) return `${Math.trunc(s / 3600)} h ${two(Math.trunc((s % 3600) / 60))} min`;
  return `${Math.trunc(s / 86400).toLocaleString("en")} d ${Math.trunc((s % 86400) / 3600)} h`;
}

/** Count on what counts; not without an answer, when nobody knows. */
function tick() {
  if (isLost || paused) return;
  const now = Date.now() / 1000 + ahead;
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".ticks"))) {
    const { since, until } = element.dataset;
    const text = duration(since ? now - Number(since) : Number(until) - now);
    if (element.textContent !== text) element.textContent = text;
  }
}

/** Set this clock by the page's. @param {Document} page */
function setClock(page) {
  asOf = Number(page.getElementById("asof")?.dataset.now);
  ahead = asOf - Date.now() / 1000;
}

/** Who it is among its neighbours: rows of a table have a key. @param {Node} node */
const key = (node) => node.nodeName + ((node instanceof HTMLElement && node.dataset.key) || "");

/** Make `old` say what `fresh` says, with as little change as it takes. @param {Node} old @param {Node} fresh */
function morph(old, fresh) {
  if (!(old instanceof Element && fresh instanceof Element)) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name); // the reader opened it
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const wanted = new Set([...fresh.childNodes].map(key));
  for (const child of [...old.childNodes]) if (!wanted.has(key(child))) child.remove();
  let place = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    let same = place;
    while (same && key(same) !== key(child)) same = same.nextSibling;
    if (!same) old.insertBefore(child, place);
    else {
      if (same !== place) old.insertBefore(same, place);
      place = same.nextSibling;
      morph(same, child);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

/** Carry a newer page over into this one. @param {Document} page */
function show(page) {
  const edition = (/** @type {Document} */ from) => from.querySelector("script")?.getAttribute("src");
  if (edition(page) !== edition(document)) return location.reload(); // the gateway was upgraded
  const focused = document.activeElement;
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (fresh) morph(part, fresh);
  }
  if (document.title !== page.title) document.title = page.title;
  const icon = 'link[rel="icon"]';
  document.querySelector(icon)?.setAttribute("href", page.querySelector(icon)?.getAttribute("href") ?? "");
  // A row that moves to another place loses the focus on the way.
  if (focused instanceof HTMLElement && focused.isConnected) focused.focus({ preventScroll: true });
}

/** What is shown is from then; say so. @param {string} why */
function lose(why) {
  isLost = true;
  document.body.classList.add("lost");
  document.title = "No answer · adt-gateway";
  const since = new Date(asOf * 1000).toISOString().slice(11, 19);
  const text = `No answer since ${since} UTC (${why}). What stands here is from then.`;
  if (by("lost").textContent !== text) by("lost").textContent = text;
  by("lost").hidden = false;
}

async function look() {
  if (isLooking) return undefined;
  isLooking = true;
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    // In full: a relative one is refused where the page's own address holds a login (http://me:token@…).
    const address = location.origin + location.pathname;
    const answer = await fetch(address, { cache: "no-store", signal });
    if (!answer.ok) return lose(`status ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (paused) return undefined;
    isLost = false;
    document.body.classList.remove("lost");
    by("lost").hidden = true;
    setClock(page);
    show(page);
    tick();
  } catch (error) {
    lose(error instanceof DOMException && error.name === "TimeoutError" ? "too slow" : "not reachable");
  } finally {
    isLooking = false;
  }
  return undefined;
}

/** One look after the other; none while nobody looks. */
async function watch() {
  if (!paused && !document.hidden) await look();
  setTimeout(watch, EVERY);
}

by("pause").addEventListener("click", () => {
  paused = !paused;
  by("pause").setAttribute("aria-pressed", String(paused));
  if (!paused) look();
});
by("pause").hidden = false;
by("reload").hidden = true;
document.addEventListener("visibilitychange", () => document.hidden || paused || look());
setClock(document);
setInterval(tick, 1000);
setTimeout(watch, EVERY);
