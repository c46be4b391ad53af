// The player: goes to a step, lights up what belongs together, listens to keys and fingers.
"use strict";

function go(to, { speak = true } = {}) {
  position = to === null || to < 0 ? null : Math.min(to, LAST);
  paintPicture();
  paintTable();
  paintStep();
  paintFormula();
  $("scrub").value = position === null ? 0 : position + 1;
  const said = position === null ? "All steps shown." : sentence(data.steps[position], position);
  $("scrub").setAttribute("aria-valuetext", said);
  if (speak) $("live").textContent = said;
}
const next = () => go(position === null ? 0 : Math.min(position + 1, LAST));
const back = () => go(position === null ? LAST : position - 1);

function play(on) {
  clearInterval(timer);
  timer = null;
  if (on) {
    if (position === null || position === LAST) go(0);
    timer = setInterval(() => (position === LAST ? play(false) : next()), 1400);
  }
  $("play").setAttribute("aria-pressed", String(Boolean(on)));
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  $("play").classList.toggle("playing", Boolean(on));
}

// Table and formula --------------------------------------------------------------------------------

const body = document.querySelector(".passes tbody");
if (!body.rows.length) buildTable(data, body);

// The cells of a row belong to the forward step data-f or the backward step data-b.
const cells = new Map();
const FIELD = { value: "value", gradient: "value", local: "local", up: "upstream" };
for (const cell of document.querySelectorAll("tr[data-f] .f, tr[data-b] .b")) {
  const row = cell.parentElement.dataset, i = Number(cell.classList.contains("f") ? row.f : row.b);
  cell.dataset.step = i;
  const number = cell.querySelector(".num");
  if (number && !data.nodes[data.steps[i].node].shape.length) number.dataset.num = `${i} ${FIELD[cell.classList[0]]}`;
  if (!cells.has(i)) cells.set(i, []);
  cells.get(i).push(cell);
  cell.addEventListener("click", (event) => {
    if (!event.target.closest("details")) { play(false); go(i); }
  });
}

function paintTable() {
  for (const cell of document.querySelectorAll(".passes .now")) {
    cell.classList.remove("now");
    cell.querySelector("button.jump")?.removeAttribute("aria-current");
  }
  for (const [i, list] of cells) {
    const yet = position !== null && i > position;
    for (const cell of list) cell.classList.toggle("yet", yet);
  }
  for (const cell of cells.get(position) ?? []) {
    cell.classList.add("now");
    cell.querySelector("button.jump")?.setAttribute("aria-current", "step");
  }
  const cell = position === null ? null : cells.get(position)?.[0];
  const box = $("tablebox");
  if (cell && box.scrollHeight > box.clientHeight + 4) {
    const top = cell.offsetTop - box.clientHeight / 2;
    box.scrollTo({ top, behavior: still.matches ? "auto" : "smooth" });
  }
}

function paintFormula() {
  for (const m of document.querySelectorAll(".hot[data-q], .warm[data-q], .hot[data-d]")) m.classList.remove("hot", "warm");
  if (position === null) return;
  const step = data.steps[position];
  const light = (q, kind) => document.querySelectorAll(`h1 [data-q="${q}"]`).forEach((m) => m.classList.add(kind));
  if (step.kind === "backward") light(step.via, "warm");
  light(step.node, "hot");
  // In the lines of the table: the factor that is at work, and the name that it belongs to.
  for (const cell of cells.get(position) ?? []) {
    cell.querySelectorAll(`[data-q="${step.node}"], [data-d="${step.via}"]`).forEach((m) => m.classList.add("hot"));
  }
  if (step.kind === "backward") {
    const line = forwardOf.get(step.via);
    for (const cell of cells.get(line) ?? []) {
      cell.querySelectorAll(`[data-q="${step.node}"]`).forEach((m) => m.classList.add("hot"));
    }
  }
}

for (const details of document.querySelectorAll("details.array")) {
  details.addEventListener("toggle", () => {
    if (!details.open || details.querySelector("table")) return;
    const cell = details.closest("[data-step]");
    const step = data.steps[Number(cell.dataset.step)], field = FIELD[cell.classList[0]];
    const { shape } = data.nodes[field === "value" ? step.node : step.via];
    const made = grid(field, step[field], shape);
    made.open = true;
    details.append(made);
  });
}

// Keys, touch, theme ---------------------------------------------------------------------------

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const own = event.target instanceof HTMLInputElement;
  const button = event.target instanceof HTMLElement && event.target.closest("button, summary, a");
  const keys = {
    ArrowRight: next, ArrowLeft: back, Home: () => go(0), End: () => go(LAST), Escape: () => { hideTip(); go(null); },
  };
  if (event.key === " " && !own && !button) {
    event.preventDefault();
    play(timer === null);
  } else if (keys[event.key] && (!own || event.key === "Escape")) {
    event.preventDefault();
    play(false);
    keys[event.key]();
  }
});

let touchX = null;
$("step").addEventListener("touchstart", (event) => { touchX = event.touches[0].clientX; }, { passive: true });
$("step").addEventListener("touchend", (event) => {
  if (touchX === null) return;
  const moved = event.changedTouches[0].clientX - touchX;
  touchX = null;
  if (Math.abs(moved) > 40) { play(false); (moved < 0 ? next : back)(); }
}, { passive: true });

$("first").addEventListener("click", () => { play(false); go(0); });
$("back").addEventListener("click", () => { play(false); back(); });
$("play").addEventListener("click", () => play(timer === null));
$("next").addEventListener("click", () => { play(false); next(); });
$("last").addEventListener("click", () => { play(false); go(LAST); });
$("all").addEventListener("click", () => { play(false); go(null); });
$("scrub").addEventListener("input", (event) => { play(false); go(Number(event.target.value) - 1); });
addEventListener("resize", () => fit());
addEventListener("beforeprint", () => { play(false); go(null, { speak: false }); });

buildModules();
buildSliders();
redraw();
go(null, { speak: false });
document.documentElement.classList.add("ready");
globalThis.chainrule = Object.freeze({ layout, evaluate, isTotal, short, TABLE, data, go, unfold });
