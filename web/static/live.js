// Updates an open page every second.
// It changes only what differs, so that focus, scrolled tables, opened details and half-typed forms stay as they are.
// Without JavaScript, reload the page.

const EVERY = 1000;
const SLOWEST = 30000;
const PATIENCE = 10000;

const connection = document.getElementById("connection");
const clock = new Intl.DateTimeFormat("pl", { timeStyle: "medium", timeZone: "Europe/Warsaw" });
let etag = null;
let seen = new Date();
let pause = EVERY;
let timer = null;

async function refresh() {
  const asked = performance.now();
  try {
    const headers = etag ? { "If-None-Match": etag } : {};
    const answer = await fetch(location.href, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (answer.redirected || [400, 401, 403, 404].includes(answer.status)) return location.reload();
    if (answer.status !== 304) {
      if (!answer.ok) throw new Error(answer.statusText);
      swap(await answer.text());
      etag = answer.headers.get("ETag");
    }
    seen = new Date();
    // A page that costs the server much is asked for less often.
    pause = Math.min(Math.max(EVERY, 2 * (performance.now() - asked)), SLOWEST);
    tell("liveNow", false);
  } catch {
    pause = Math.min(pause * 2, SLOWEST);
    tell("lost", true);
  }
  again();
}

function again() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(refresh, pause);
}

function tell(which, lost) {
  const text = connection.dataset[which].replace("{time}", clock.format(seen));
  if (connection.textContent !== text) connection.textContent = text;
  connection.classList.toggle("lost", lost);
  connection.hidden = false;
}

function swap(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const focused = document.activeElement;
  for (const old of document.querySelectorAll("[data-live]")) {
    const wanted = fresh.getElementById(old.id);
    if (wanted) morph(old, wanted);
  }
  document.title = fresh.title;
  const back = focused.isConnected ? focused : document.getElementById(focused.id);
  if (back && back !== document.activeElement) back.focus({ preventScroll: true });
  arrange();
}

function morph(old, wanted) {
  if (old.isEqualNode(wanted)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = wanted.nodeValue;
    return;
  }
  for (const { name, value } of wanted.attributes) if (old.getAttribute(name) !== value && name !== "open") old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (!wanted.hasAttribute(name) && name !== "open" && name !== "tabindex") old.removeAttribute(name);
  children(old, wanted);
}

function children(old, wanted) {
  const named = new Map([...old.children].filter((each) => each.id).map((each) => [each.id, each]));
  const stays = new Set([...wanted.children].map((each) => each.id));
  let place = old.firstChild;
  for (const each of [...wanted.childNodes]) {
    while (place?.id && !stays.has(place.id)) place = passed(place);
    const found = each.id ? named.get(each.id) : place && alike(place, each) ? place : null;
    if (!found || found.nodeName !== each.nodeName) {
      old.insertBefore(document.importNode(each, true), place);
      continue;
    }
    if (found === place) place = place.nextSibling;
    else old.insertBefore(found, place);
    morph(found, each);
  }
  while (place) place = passed(place);
}

// Removes a node, unless somebody has written into it: what was typed is theirs to send or to drop.
function passed(node) {
  const next = node.nextSibling;
  const fields = node.querySelectorAll?.("textarea, input:not([type=hidden])") ?? [];
  if (![...fields].some((field) => field.value !== field.defaultValue)) node.remove();
  return next;
}

function alike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && !one.id && !other.id;
}

// A line of marks is one stop of the Tab key, at its next planned mail; the arrow keys go from mark to mark.
function arrange() {
  for (const line of document.querySelectorAll("[data-line]")) {
    const marks = marksOf(line);
    const stop = marks.find((mark) => mark === document.activeElement) ?? marks.find((mark) => mark.matches(".pending")) ?? marks.at(-1);
    for (const mark of marks) mark.setAttribute("tabindex", mark === stop ? "0" : "-1");
  }
  read(document.querySelector(".mark:focus, .mark:hover"));
}

function marksOf(line) {
  const place = (mark) => parseFloat(mark.querySelector("[href='#hit'], .hit").getAttribute("x"));
  return [...line.querySelectorAll(".mark")].sort((one, other) => place(one) - place(other));
}

function read(mark) {
  for (const each of document.querySelectorAll(".readout")) {
    const text = mark && each.parentElement.contains(mark) ? mark.querySelector("title").textContent : "";
    if (each.textContent !== text) each.textContent = text;
  }
}

document.addEventListener("keydown", (event) => {
  const mark = event.target.closest?.(".mark");
  if (!mark) return;
  const marks = marksOf(mark.closest("[data-line]"));
  const here = marks.indexOf(mark);
  const there = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: marks.length - 1 }[event.key];
  if (!marks[there]) return;
  event.preventDefault();
  marks[there].focus();
  arrange();
});
for (const event of ["focusin", "mouseover"]) document.addEventListener(event, ({ target }) => read(target.closest?.(".mark")));
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));

arrange();
again();
