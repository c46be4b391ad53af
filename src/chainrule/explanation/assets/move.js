// Sliders: the table of lowering.js recomputes every number when an input moves.
"use strict";

// Moving the inputs -----------------------------------------------------------------------------

function canMove() {
  return data.program !== null && !data.program.branches && isTotal(data.program)
    && data.nodes.every((n) => n.dtype === "float64" && !n.shape.length);
}

function buildSliders() {
  const given = data.nodes.filter((n) => n.kind === "input");
  if (!canMove() || !given.length || given.length > 24) return;
  for (const node of given) {
    const start = special(node.value), reach = Math.max(2, 2 * Math.abs(start));
    const label = el("label", { for: `s${node.id}` }, math(`n${forwardOf.get(node.id)}`));
    const range = el("input", {
      type: "range", id: `s${node.id}`, min: start - reach, max: start + reach, step: "any", "aria-label": node.text,
    });
    const exact = el("input", { type: "number", step: "any", "aria-label": `${node.text}, exactly` });
    range.value = exact.value = start;
    const move = (value) => {
      if (!Number.isFinite(value)) return;
      inputs.set(node.id, value);
      recompute();
    };
    range.addEventListener("input", () => {
      const value = Number(Number(range.value).toPrecision(4));
      exact.value = value;
      move(value);
    });
    exact.addEventListener("input", () => {
      if (exact.value === "") return;
      range.value = exact.value;
      move(Number(exact.value));
    });
    $("sliders").append(el("div", { class: "slider" }, label, range, exact));
  }
  $("reset").addEventListener("click", () => {
    for (const node of given) {
      inputs.set(node.id, special(node.value));
      $(`s${node.id}`).value = special(node.value);
      $(`s${node.id}`).nextElementSibling.value = special(node.value);
    }
    slots = null;
    refresh();
  });
  $("movers").hidden = false;
}

function recompute() {
  slots = evaluate(data.program, inputs);
  refresh();
}

function refresh() {
  document.documentElement.classList.toggle("moved", slots !== null);
  for (const span of document.querySelectorAll("[data-num]")) {
    const [i, field] = span.dataset.num.split(" ");
    const digits = Number(span.dataset.digits ?? data.digits);
    span.textContent = field === "node" ? short(get("value", i), digits) : field === "slope"
      ? short(get("gradient", i), digits) : short(now(data.steps[i], field), digits);
  }
  // Wires stay where they are as long as the new labels fit.
  const scene = makeScene(data, folded, get);
  const fits = scene.links.every((link, k) => roomOf(link).width <= picture.scene.rooms[k].width);
  if (fits) relabel(scene);
  else redraw();
  paintStep();
  paintPicture();
}

function relabel(scene) {
  scene.links.forEach((link, k) => {
    const old = picture.scene.links[k];
    old.value = link.value;
    old.gradient = link.gradient;
    const texts = [...old.element.querySelectorAll("text")];
    [link.value, link.gradient].filter(Boolean).forEach((f, i) => { texts[i].textContent = f.text; });
    old.element.setAttribute("aria-label", wireLabel(old));
  });
  scene.parts.forEach((part, k) => {
    const { element } = picture.scene.parts[k];
    const total = element.querySelector(".total");
    if (total) total.textContent = part.below;
    element.setAttribute("aria-label", labelOf(part));
  });
}
