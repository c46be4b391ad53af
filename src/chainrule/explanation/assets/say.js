// What a step says: as a sentence, as an equation of coloured factors, as grids of numbers.
"use strict";

// What a step says -----------------------------------------------------------------------------

function sentence(step, i) {
  const { shape } = data.nodes[step.node];
  const value = shown(now(step, "value"), shape, 6);
  const head = `Step ${i + 1} of ${LAST + 1}. `;
  if (step.kind === "input") return `${head}Given: ${step.name} = ${value}.`;
  if (step.kind === "forward") return `${head}Forward: ${step.name} = ${step.formula} = ${value}.`;
  if (step.kind === "start") return `${head}Backward starts: ${step.name} = ${value}.`;
  if (step.kind === "sum") return `${head}${step.name} = ${value}. ${step.why}.`;
  const via = data.nodes[step.via];
  if (step.local === null) {
    return `${head}Backward from ${via.text} to ${data.nodes[step.node].text}: ${step.name} = ${step.formula} = ${value}.`;
  }
  return `${head}Backward from ${via.text} to ${data.nodes[step.node].text}: ${step.name} = `
    + `${step.localText} times upstream = ${shown(now(step, "local"), localShape(step), 6)} × `
    + `${shown(now(step, "upstream"), via.shape, 6)} = ${value}.`;
}

// Formulas are already in the table; other places show copies of them.
function math(id) {
  const found = $(id);
  if (!found) return "";
  const copy = found.cloneNode(true);
  copy.removeAttribute("id");
  copy.querySelectorAll(".hot, .warm").forEach((m) => m.classList.remove("hot", "warm"));
  return copy;
}
const sign = (text) => el("span", { class: "sign" }, text);
const chip = (kind, label, ...inside) => el("span", { class: `chip ${kind}` },
  el("span", { class: "inside" }, ...inside), el("span", { class: "caption" }, label));
const amount = (value, shape, digits = data.precision) => el("span", { class: "amount" }, shown(value, shape, digits));

function equation(step, i, digits) {
  const { shape } = data.nodes[step.node];
  const name = () => chip("name", "", math(`n${i}`));
  const value = now(step, "value");
  if (step.kind === "input") return [name(), sign("="), chip("value", "given", amount(value, shape, digits))];
  if (step.kind === "forward") {
    return [name(), sign("="), chip("formula", "", math(`f${i}`)), sign("="),
      chip("value", "value", amount(value, shape, digits))];
  }
  if (step.kind === "start") return [name(), sign("="), chip("down", "gradient", amount(value, shape, digits))];
  if (step.kind === "sum") {
    const terms = step.terms.flatMap((t, k) => {
      const term = data.steps[t];
      return [...(k ? [sign("+")] : []),
        chip("down", `from ${data.nodes[term.via].text}`, amount(now(term, "value"), shape, digits))];
    });
    return [name(), ...(terms.length ? [sign("="), ...terms] : []), sign("="),
      chip("down", "gradient", amount(value, shape, digits))];
  }
  const via = data.nodes[step.via].shape;
  if (step.local === null) {
    return [name(), sign("="), chip("formula", "rule applied to upstream", math(`l${i}`)), sign("="),
      chip("down", "downstream", amount(value, shape, digits))];
  }
  const up = gradientOf.get(step.via);
  return [name(), sign("="),
    chip("local", "local", math(`l${i}`),
      ...(/^−?[\d.]+$/.test(step.localText) ? [] : [sign("="), amount(now(step, "local"), localShape(step), digits)])), sign("×"),
    chip("up", "upstream", math(`n${up}`), sign("="), amount(now(step, "upstream"), via, digits)), sign("="),
    chip("down", "downstream", amount(value, shape, digits))];
}

const PHASE = { input: "Given", forward: "Forward", start: "Backward", backward: "Backward", sum: "Backward" };

function paintStep() {
  const box = $("step");
  if (position === null) {
    box.className = "card step overview";
    $("phase").textContent = "Overview";
    $("count").textContent = `${LAST + 1} steps`;
    $("equation").replaceChildren(el("span", { class: "hint" },
      "Values run forward, above each wire; gradients come back, below it. Step through, or choose a line, a block or a wire."));
    $("why").textContent = "";
    $("grids").replaceChildren();
    return;
  }
  const step = data.steps[position];
  box.className = `card step ${step.kind}`;
  $("phase").textContent = PHASE[step.kind];
  $("count").textContent = `Step ${position + 1} of ${LAST + 1}`;
  $("equation").replaceChildren(...equation(step, position));
  $("why").textContent = [step.why, step.note].filter(Boolean).join(" · ");
  $("grids").replaceChildren(...gridsOf(step));
}

// Arrays ---------------------------------------------------------------------------------------

function gridsOf(step) {
  const { shape } = data.nodes[step.node];
  const list = [];
  const back = !["input", "forward"].includes(step.kind);
  if (step.kind === "backward") {
    const via = data.nodes[step.via].shape;
    if (step.local !== null) list.push(["local", step.local, localShape(step)]);
    list.push(["upstream", step.upstream, via]);
  }
  list.push([back ? "gradient" : "value", step.value, shape]);
  return list.filter(([, value, s]) => s.length && value !== null).map(([label, value, s]) => grid(label, value, s));
}

function rowsOf(value, shape) {
  if (!isList(value)) return value.corner ?? [];
  if (shape.length === 2) return value;
  return shape.length === 1 ? [value] : value.map((part) => flat(part));
}

function grid(label, value, shape) {
  const rows = rowsOf(value, shape);
  const entries = isList(value) ? flat(value) : flat(rows);
  const finite = entries.filter(Number.isFinite);
  const top = Math.max(0, ...finite.map(Math.abs)) || 1;
  const details = el("details", { class: `grid ${label}` });
  const cut = !isList(value) || rows.length > 24 || (rows[0] ?? []).length > 24;
  details.open = rows.length <= 8 && (rows[0] ?? []).length <= 8;
  const range = finite.length ? ` from ${short(Math.min(...finite))} to ${short(Math.max(...finite))}` : "";
  const whole = isList(value) ? range : ` from ${short(value.min)} to ${short(value.max)}, mean ${short(value.mean)}`;
  details.append(el("summary", {}, el("b", {}, label), ` ${shapeText(shape)}${whole}`));
  const build = () => {
    if (details.querySelector("table")) return;
    const body = el("tbody");
    for (const row of rows.slice(0, 24)) {
      const line = el("tr");
      for (const x of row.slice(0, 24)) {
        const v = Number(special(x)), cell = el("td", {}, short(x));
        cell.className = v > 0 ? "plus" : v < 0 ? "minus" : "";
        cell.style.setProperty("--heat", `${Math.round(40 * Math.min(1, Math.abs(v) / top) || 0)}%`);
        line.append(cell);
      }
      body.append(line);
    }
    const caption = `${label}, ${shapeText(shape)}${cut ? ": the first rows and columns" : ""}`;
    details.append(el("div", { class: "wide" }, el("table", {}, el("caption", {}, caption), body)));
  };
  if (details.open) build();
  details.addEventListener("toggle", build);
  return details;
}
