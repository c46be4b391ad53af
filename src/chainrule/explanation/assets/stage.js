// The picture in the page: what is lit, what has been computed yet, folding, hovering.
"use strict";

// The picture ----------------------------------------------------------------------------------

const svg = $("picture");

function redraw() {
  picture = draw(data, folded, get);
  const { width, height } = picture.where;
  svg.setAttribute("viewBox", `0 0 ${Math.ceil(width)} ${Math.ceil(height)}`);
  svg.replaceChildren(...picture.elements);
  for (const part of picture.scene.parts) {
    const block = part.element;
    block.setAttribute("role", "button");
    if (part.key !== "end") block.setAttribute("tabindex", "0");
    block.setAttribute("aria-label", labelOf(part));
    act(block, () => (part.kind === "module" ? unfold(part.module, false) : choose(part)), () => tipOfPart(part));
  }
  const many = picture.scene.links.length > 60;
  for (const link of picture.scene.links) {
    const wire = link.element;
    wire.setAttribute("role", "button");
    wire.setAttribute("tabindex", many ? "-1" : "0");
    wire.setAttribute("aria-label", wireLabel(link));
    act(wire, () => (link.steps.length ? go(link.steps[0]) : go(forwardOf.get(link.quantity))), () => tipOfLink(link));
  }
  for (const frame of svg.querySelectorAll(".frame")) {
    const k = Number(frame.dataset.module);
    frame.append(make("title", {}, `${data.modules[k].name}: fold`));
    frame.addEventListener("click", () => unfold(k, true));
  }
  fit();
  paintPicture();
}

function labelOf(part) {
  if (part.kind === "module") return `Module ${part.label[0][0]}, ${part.members.length} quantities, folded: open it`;
  if (part.key === "end") return `Result ${data.nodes[data.output].text}`;
  const node = data.nodes[part.members[0]];
  const slope = get("gradient", node.id);
  const formula = node.kind === "operation" ? ` = ${node.formula}` : "";
  return `${node.text}${formula} = ${shown(get("value", node.id), node.shape, 6)}`
    + (slope === null ? "" : `, gradient ${shown(slope, node.shape, 6)}`);
}

function wireLabel(link) {
  const node = data.nodes[link.quantity];
  const to = link.key === "end" ? "the result" : link.nodes.map((i) => data.nodes[i].text).join(", ");
  const steps = link.steps.map((i) => sentence(data.steps[i], i)).join(" ");
  return `Wire from ${node.text} to ${to}. ${steps}`;
}

// A block shows its forward step; chosen again, its gradient.
function choose(part) {
  if (part.key === "end") return go(data.steps.findIndex((s) => s.kind === "start"));
  const [id] = part.members;
  const first = forwardOf.get(id), second = gradientOf.get(id);
  return go(position === first && second !== undefined ? second : first);
}

function act(element, run, tip) {
  element.addEventListener("click", (event) => { event.stopPropagation(); play(false); run(); });
  element.addEventListener("keydown", (event) => {
    // Space chooses what was reached by the keyboard, and plays after a click.
    const space = event.key === " " && element.matches(":focus-visible");
    if (event.key === "Enter" || space) { event.preventDefault(); event.stopPropagation(); play(false); run(); }
  });
  element.addEventListener("pointerenter", (event) => { if (event.pointerType !== "touch") showTip(element, tip()); });
  element.addEventListener("focus", () => { if (element.matches(":focus-visible")) showTip(element, tip()); });
  element.addEventListener("pointerleave", hideTip);
  element.addEventListener("blur", hideTip);
}

function fit() {
  const { width, height } = picture.where;
  // A long picture takes the whole width, and the step and the table stand below it.
  const page = document.querySelector("main");
  page.classList.remove("broad");
  page.classList.toggle("broad", width * 0.9 > $("scroller").clientWidth);
  const room = $("scroller").clientWidth - 2;
  const scale = Math.max(Math.min(room / width, 1.25), 0.66);
  svg.setAttribute("width", Math.floor(width * scale));
  svg.setAttribute("height", Math.ceil(height * scale));
  $("scroller").classList.toggle("long", width * scale > room + 1);
}

function paintPicture() {
  const step = position === null ? null : data.steps[position];
  const done = (i) => position === null || (i !== undefined && i <= position);
  let seen = null;
  for (const link of picture.scene.links) {
    const wire = link.element;
    const values = done(forwardOf.get(link.quantity));
    const gradients = link.steps.length ? link.steps.every(done) : position === null;
    wire.classList.toggle("before", !values);
    wire.classList.toggle("open", !gradients);
    let hot = false, back = false;
    if (step) {
      const here = link.quantity === step.node;
      if (step.kind === "forward") hot = link.nodes.includes(step.node);
      else if (step.kind === "backward") back = link.steps.includes(position);
      else if (step.kind === "start") back = link.key === "end";
      else if (step.kind === "sum") back = here && link.steps.some((i) => step.terms.includes(i));
    }
    wire.classList.toggle("hot", hot);
    wire.classList.toggle("back", back);
    if (hot || back) seen ??= wire;
  }
  for (const part of picture.scene.parts) {
    const block = part.element;
    const members = part.key === "end" ? [data.output] : part.members;
    block.classList.toggle("before", !members.some((i) => done(forwardOf.get(i))));
    block.classList.toggle("open", !members.every((i) => done(gradientOf.get(i))));
    const mine = step !== null && part.key !== "end" && members.includes(step.node);
    const back = mine && !["input", "forward"].includes(step.kind);
    block.classList.toggle("hot", mine && !back);
    block.classList.toggle("back", back);
    if (mine) seen = block;
  }
  if (seen) reveal(seen);
}

function reveal(element) {
  const scroller = $("scroller");
  if (!scroller.classList.contains("long")) return;
  const box = element.getBoundingClientRect(), view = scroller.getBoundingClientRect();
  if (box.left < view.left + 40 || box.right > view.right - 40) {
    const left = scroller.scrollLeft + box.left - view.left - (view.width - box.width) / 2;
    scroller.scrollTo({ left, behavior: still.matches ? "auto" : "smooth" });
  }
}

// Modules --------------------------------------------------------------------------------------

function unfold(k, close) {
  if (close) folded.add(k);
  else folded.delete(k);
  play(false);
  hideTip();
  redraw();
  paintModules();
  const again = svg.querySelector(`[data-block="m${k}"]`) ?? document.querySelector(`[data-fold="${k}"]`);
  again?.focus({ preventScroll: true });
  $("live").textContent = `${data.modules[k].name} ${close ? "folded" : "opened"}.`;
}

function paintModules() {
  for (const button of document.querySelectorAll("[data-fold]")) {
    const k = Number(button.dataset.fold);
    button.setAttribute("aria-expanded", String(!folded.has(k)));
    let parent = data.modules[k].parent, hidden = false;
    while (parent >= 0) { hidden ||= folded.has(parent); parent = data.modules[parent].parent; }
    button.disabled = hidden;
  }
}

function buildModules() {
  if (!data.modules.length) return;
  const many = data.modules.length > 12;
  const list = data.modules.map((module, k) => {
    const button = el("button", { type: "button", class: "fold", "data-fold": k }, module.name);
    button.addEventListener("click", () => unfold(k, !folded.has(k)));
    return button;
  });
  const all = (close) => {
    const button = el("button", { type: "button", class: "fold all" }, close ? "fold all" : "open all");
    button.addEventListener("click", () => {
      folded = new Set(close ? data.modules.keys() : []);
      redraw();
      paintModules();
      $("live").textContent = close ? "All modules folded." : "All modules open.";
    });
    return button;
  };
  const box = many ? el("details", {}, el("summary", {}, `${list.length} modules`), ...list) : null;
  const opens = data.modules.length && data.nodes.length <= data.most ? [all(false)] : [];
  $("folds").append(el("span", { class: "caption" }, "modules"), ...(box ? [box] : list), all(true), ...opens);
  $("folds").hidden = false;
  paintModules();
}

// Hover and focus --------------------------------------------------------------------------------

function showTip(element, lines) {
  const tip = $("tip");
  tip.replaceChildren(...lines);
  tip.hidden = false;
  const box = element.getBoundingClientRect(), mine = tip.getBoundingClientRect();
  const left = Math.max(8, Math.min(box.left + box.width / 2 - mine.width / 2, innerWidth - mine.width - 8));
  const above = box.top - mine.height - 10;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 4 ? above : Math.min(box.bottom + 10, innerHeight - mine.height - 4)}px`;
}
function hideTip() { $("tip").hidden = true; }

function tipOfPart(part) {
  if (part.kind === "module") {
    return [el("p", { class: "line" }, `${part.label[0][0]}: ${part.members.length} quantities`), el("p", { class: "teaches" }, "Click to open.")];
  }
  const id = part.key === "end" ? data.output : part.members[0];
  const lines = [forwardOf.get(id), gradientOf.get(id)].filter((i) => i !== undefined)
    .map((i) => el("p", { class: "line" }, ...equation(data.steps[i], i, 6)));
  const { teaches } = data.nodes[id];
  return teaches && part.kind === "operation" ? [...lines, el("p", { class: "teaches" }, teaches)] : lines;
}

function tipOfLink(link) {
  if (!link.steps.length) return [el("p", { class: "line" }, "No gradient comes back over this wire.")];
  return link.steps.map((i) => el("p", { class: "line" }, ...equation(data.steps[i], i, 6)));
}
