// A network as it is drawn in the lecture (L0.2): layers of neurons with their score z and
// activation a, weights as lines; then deltas, layer by layer backward (L0.4). What stands beside
// the picture writes out one neuron, or one weight, with its numbers.
//
// `net` says what is drawn: sizes, names of inputs and outputs, activations, unit (of the output),
// loss, matched (delta = y_hat - y), convention, rate (of SGD), normalised, residual (layers with
// a = h + inputs, h = g(z)). `pass` has the numbers of one example: x, target, prediction, loss, and
// per layer weights (inputs, outputs), bias, z, h, a, slope, up = dJ/da, delta = dJ/dz, gw, gb.
"use strict";

const MOST_UNITS = 10, MOST_TERMS = 6;
const CARD = { width: 116, height: 62, gap: 10, top: 34 }, SPACE = [34, 110];
const SUB = "₀₁₂₃₄₅₆₇₈₉";
const sub = (n) => [...String(n)].map((d) => SUB[d]).join("");
const cut = (text, most) => (text.length <= most ? text : `${text.slice(0, most - 1)}…`);
// Marks that turn the direction of a text are shown, not obeyed.
const shown = (text) => text.replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (c) => `\\u${c.charCodeAt(0).toString(16)}`);
const signed = (x, digits) => (x < 0 ? `(${short(x, digits)})` : short(x, digits));

// What a network calls its things: layers from 1, without an index where there is only one.
function naming(net) {
  const depth = net.sizes.length - 1, index = (layer) => (depth === 1 ? "" : sub(layer));
  const below = (layer) => (layer === 1 ? "x" : `a${index(layer - 1)}`);
  const turned = ["outputs_inputs", "torch"].includes(net.convention), row = net.convention === "bias_row";
  const letter = row ? "Θ" : "W";
  return {
    depth, index, below,
    title: (layer) => (layer === 0 ? "inputs" : layer === depth ? `output, ${net.unit}` : `hidden ${layer}, ${net.activations[layer - 1]}`),
    unit: (layer, k) => (layer === 0 ? net.inputs[k] : layer === depth ? net.outputs[k] : `unit ${k + 1} of hidden ${layer}`),
    weight: (layer, i, k) => `${letter}${index(layer)}[${turned ? `${k + 1}, ${i + 1}` : `${i + 1 + row}, ${k + 1}`}]`,
    // The layer's formulas by convention (L0.3).
    forward: (layer) => {
      const [w, b, h] = [`${letter}${index(layer)}`, `b${index(layer)}`, below(layer)];
      return `z${index(layer)} = ` + (row ? `[1, ${h}] ${w}` : net.convention === "outputs_inputs" ? `${w} ${h} + ${b}`
        : net.convention === "torch" ? `${h} ${w}ᵀ + ${b}` : `${h} ${w} + ${b}`);
    },
    gradient: (layer) => {
      const [w, h, d] = [`∂J/∂${letter}${index(layer)}`, row ? `[1, ${below(layer)}]` : below(layer), `δ${index(layer)}`];
      return `${w} = ` + (net.convention === "outputs_inputs" ? `${d} ${h}ᵀ` : turned ? `${d}ᵀ ${h}` : `${h}ᵀ ${d}`);
    },
    back: (layer) => {
      const [w, d] = [row ? `Θ̄${index(layer + 1)}` : `${letter}${index(layer + 1)}`, `δ${index(layer + 1)}`];
      const pulled = net.convention === "outputs_inputs" ? `${w}ᵀ ${d}` : turned ? `${d} ${w}` : `${d} ${w}ᵀ`;
      const past = net.residual.includes(layer + 1) ? ` + ∂J/∂a${index(layer + 1)}` : "";
      return `δ${index(layer)} = (${pulled}${past}) ⊙ ${net.activations[layer - 1]}′(z${index(layer)})`;
    },
    activation: (layer) => {
      const [n, g] = [index(layer), `${net.activations[layer - 1]}(z${index(layer)})`];
      return net.residual.includes(layer) ? `h${n} = ${g}, a${n} = ${below(layer)} + h${n}` : `a${n} = ${g}`;
    },
  };
}

// Steps: 0 the inputs, 1 to L forward, L + 1 the loss, then backward from the last layer.
const stepsOf = (net) => 2 * (net.sizes.length - 1) + 1;

// `fill` is called when the neurons are drawn anew and their maps are empty; without it there are none.
function neurons(host, panel, live, fill = null) {
  let net = null, pass = null, position = null, chosen = { layer: 1, unit: 0 }, all = false, drawn = null, names = null;

  const sees = {
    forward: (layer) => position === null || layer === 0 || position >= layer,
    loss: () => position === null || position > names.depth,
    back: (layer) => position === null || position > 2 * names.depth + 1 - layer,
  };
  const now = () => (position === null || position === 0 ? null : position <= names.depth ? { layer: position, forward: true }
    : position === names.depth + 1 ? { layer: names.depth, loss: true } : { layer: 2 * names.depth + 2 - position, forward: false });

  // Drawing ------------------------------------------------------------------------------------

  const shownUnits = (layer) => (all || net.sizes[layer] <= MOST_UNITS + 2 ? net.sizes[layer] : MOST_UNITS);
  const space = () => Math.max(SPACE[0], Math.min(SPACE[1], (host.clientWidth - 18 - (names.depth + 1) * CARD.width) / names.depth));
  const left = (layer) => 8 + layer * (CARD.width + space());
  const top = (k) => CARD.top + k * (CARD.height + CARD.gap);

  function build() {
    const most = Math.max(...net.sizes.map((_, l) => shownUnits(l) + (shownUnits(l) < net.sizes[l])));
    const wide = left(names.depth) + CARD.width + 8, high = top(most) + 4;
    const lines = make("g"), cards = make("g"), wires = [], units = [];
    for (let layer = 1; layer <= names.depth; layer++) {
      for (let i = 0; i < shownUnits(layer - 1); i++) for (let k = 0; k < shownUnits(layer); k++) {
        const [x, y, u, v] = [left(layer - 1) + CARD.width, top(i) + CARD.height / 2, left(layer), top(k) + CARD.height / 2];
        const d = `M${at(x)} ${at(y)}C${at(x + 40)} ${at(y)} ${at(u - 40)} ${at(v)} ${at(u)} ${at(v)}`;
        const wire = make("g", { class: "weight" }, make("path", { d, class: "line" }), make("path", { d, class: "reach" }));
        wire.addEventListener("click", () => choose({ layer, unit: k, from: i }));
        lines.append(wire);
        wires.push({ layer, i, k, wire, line: wire.firstChild });
      }
    }
    for (let layer = 0; layer <= names.depth; layer++) {
      cards.append(make("text", { class: "title", x: at(left(layer) + CARD.width / 2), y: "18" }, cut(names.title(layer), 19)));
      for (let k = 0; k < shownUnits(layer); k++) units.push(unitCard(layer, k, cards));
      const hidden = net.sizes[layer] - shownUnits(layer);
      if (hidden > 0) cards.append(make("text", { class: "more", y: at(top(shownUnits(layer)) + 16), "data-layer": layer },
        ...[0, 16].map((dy) => make("tspan", { x: at(left(layer) + CARD.width / 2), dy }))));
    }
    const picture = make("svg", { class: "neurons", viewBox: `0 0 ${wide} ${high}`, width: wide, height: high, role: "group", "aria-label": "The network: layers of neurons from the inputs on the left to the outputs on the right" }, lines, cards);
    const more = net.sizes.some((size) => size > MOST_UNITS + 2);
    const button = el("button", { type: "button", class: "quiet", "aria-pressed": String(all) }, all ? `show fewer units` : "show all units");
    button.addEventListener("click", () => { all = !all; drawn = null; paint(); });
    host.replaceChildren(picture, ...(more ? [button] : []));
    drawn = { key: key(), wires, units, cards };
    fill?.();
  }

  function unitCard(layer, k, cards) {
    const [x, y] = [left(layer), top(k)];
    const line = (kind, row) => make("text", { class: kind, x: at(x + (fill ? 38 : 10)), y: at(y + 18 + 17 * row) });
    const parts = layer === 0 ? [make("text", { class: "name", x: at(x + 8), y: at(y + 24) }), make("text", { class: "a value", x: at(x + 8), y: at(y + 44) })]
      : layer === names.depth ? [make("text", { class: "name", x: at(x + 8), y: at(y + 15) }), make("text", { class: "z", x: at(x + 8), y: at(y + 30) }), make("text", { class: "a value", x: at(x + 8), y: at(y + 43) }), make("text", { class: "d gradient", x: at(x + 8), y: at(y + 57) })]
        : [line("z", 0), line("a value", 1), line("d gradient", 2)];
    const map = make("image", { x: at(x + 4), y: at(y + 16), width: 30, height: 30, preserveAspectRatio: "none" });
    const node = make("g", { class: "neuron", role: "button", tabindex: "-1", "data-layer": layer, "data-unit": k },
      make("title", {}), make("rect", { class: "gate", x, y, width: CARD.width, height: CARD.height, rx: 10 }), ...parts, ...(fill && layer > 0 && layer < names.depth ? [map] : []));
    node.addEventListener("click", () => choose({ layer, unit: k }));
    cards.append(node);
    return { layer, k, node, map, text: (kind, value) => { const found = node.querySelector(`.${kind}`); if (found) fit(found, value, kind === "name"); } };
  }

  // A name that is too wide for its card is cut, a number set closer.
  function fit(found, value, name) {
    const room = CARD.width - 6 - (fill && !name && found.parentNode.querySelector("image") ? 38 : 8);
    if (found.said === value) return;
    found.said = found.textContent = value;
    found.removeAttribute("textLength");
    if (value.length < 11) return;  // measuring takes time
    if (!(found.getComputedTextLength() > room)) return;
    if (!name) { found.setAttribute("textLength", room); found.setAttribute("lengthAdjust", "spacingAndGlyphs"); return; }
    value = value.replace(/^.* = /, "= ");  // of a category what tells it from others
    found.textContent = value;
    for (let k = Math.min(value.length - 1, 30); k > 1 && found.getComputedTextLength() > room; k--) found.textContent = `${value.slice(0, k)}…`;
  }

  const key = () => JSON.stringify([space(), net.sizes, all, net.inputs, net.outputs, net.activations, net.unit]);

  function paint() {
    names = naming(net);
    chosen.layer = Math.min(chosen.layer, names.depth);
    chosen.unit = Math.min(chosen.unit, net.sizes[chosen.layer] - 1);
    if (drawn === null || drawn.key !== key()) build();
    const current = now();
    const most = pass.layers.map((layer) => Math.max(1e-12, ...Array.from(layer.weights, Math.abs)));
    for (const { layer, i, k, wire, line } of drawn.wires) {
      const w = pass.layers[layer - 1].weights[i * net.sizes[layer] + k];
      line.setAttribute("class", `line ${w > 0 ? "plus" : w < 0 ? "minus" : "zero"}`);
      line.setAttribute("stroke-width", (0.4 + 4.6 * Math.abs(w) / most[layer - 1]).toFixed(2));
      wire.classList.toggle("hot", Boolean(current && current.layer === layer && current.forward));
      wire.classList.toggle("back", Boolean(current && current.layer === layer && current.forward === false));
      wire.classList.toggle("chosen", chosen.layer === layer && chosen.unit === k && (chosen.from === undefined || chosen.from === i));
    }
    for (const unit of drawn.units) paintUnit(unit, current);
    for (const more of drawn.cards.querySelectorAll(".more")) {
      const layer = Number(more.dataset.layer), rest = Array.from(layer ? pass.layers[layer - 1].a : pass.x).slice(shownUnits(layer));
      more.firstChild.textContent = `and ${rest.length} more`;
      more.lastChild.textContent = sees.forward(layer) ? `${short(Math.min(...rest), 2)} … ${short(Math.max(...rest), 2)}` : "";
    }
    paintPanel();
  }

  function paintUnit({ layer, k, node, text }, current) {
    const own = layer ? pass.layers[layer - 1] : null, name = names.unit(layer, k), last = layer === names.depth;
    const value = !own ? pass.x[k] : last ? pass.prediction[k] : own.a[k];
    const forward = sees.forward(layer), back = own && sees.back(layer);
    text("name", name);
    text("z", forward && own ? `z ${short(own.z[k], 3)}` : "z");
    text("a", forward ? `${own ? (last ? "ŷ " : "a ") : "x "}${short(value, 3)}` : last ? "ŷ" : "a");
    text("d", back ? `δ ${short(own.delta[k], 3)}` : "δ");
    const said = own ? `${names.title(layer)}, ${last ? name : `unit ${k + 1}`}: ${forward ? `z ${short(own.z[k], 3)}, ${last ? "prediction" : "a"} ${short(value, 3)}` : "not yet computed"}${back ? `, delta ${short(own.delta[k], 3)}` : ""}` : `input ${name}: ${short(value, 3)}`;
    node.querySelector("title").textContent = said;
    node.setAttribute("aria-label", said);
    const on = chosen.layer === layer && chosen.unit === k;
    node.setAttribute("aria-pressed", String(on));
    node.setAttribute("tabindex", on ? "0" : "-1");
    node.classList.toggle("chosen", on);
    node.classList.toggle("hot", Boolean(current && current.layer === layer && current.forward));
    node.classList.toggle("back", Boolean(current && current.layer === layer && (current.forward === false)));
    node.classList.toggle("silent", Boolean(own && !last && back && own.slope[k] === 0));
  }

  // What is written out ------------------------------------------------------------------------

  const line = (kind, ...parts) => el("p", { class: `said ${kind}` }, ...parts);
  const strong = (text) => el("b", {}, text);

  // The largest terms of a sum of products, written out.
  function terms(pairs, digits = 3) {
    const order = pairs.map((p, i) => [Math.abs(p[0] * p[1]), i]).sort((a, b) => b[0] - a[0]).slice(0, MOST_TERMS).map(([, i]) => i).sort((a, b) => a - b);
    const rest = pairs.length - order.length;
    return order.map((i) => `${signed(pairs[i][0], digits)} · ${signed(pairs[i][1], digits)}`).join(" + ") + (rest ? ` + … (${rest} smaller terms)` : "");
  }

  function paintPanel() {
    const { layer, unit, from } = chosen, own = layer ? pass.layers[layer - 1] : null;
    const title = el("h3", {}, from === undefined ? names.unit(layer, unit) : `weight from ${names.unit(layer - 1, from)} to ${names.unit(layer, unit)}`);
    if (!own) { panel.replaceChildren(title, line("", `an input of the example: x = ${short(pass.x[unit])}; it is what the column became when it was coded.`)); return; }
    panel.replaceChildren(title, ...(from === undefined ? saidUnit(layer, unit, own) : saidWeight(layer, unit, from, own)), weightTable(layer, unit, own));
  }

  function saidUnit(layer, unit, own) {
    const size = net.sizes[layer], ins = layer === 1 ? pass.x : pass.layers[layer - 2].a, last = layer === names.depth;
    const added = net.residual.includes(layer), past = net.residual.includes(layer + 1);
    const column = Array.from(ins, (v, i) => [own.weights[i * size + unit], v]);
    const said = [];
    if (sees.forward(layer)) {
      said.push(line("forward", strong("z = Σ w a + b"), ` = ${terms(column)}${own.bias ? ` + ${signed(own.bias[unit], 3)}` : ""} = `, strong(short(own.z[unit]))));
      said.push(last ? line("forward", strong(net.unit === "identity" ? "ŷ = z" : `ŷ = ${net.unit}(z)`), " = ", strong(short(pass.prediction[unit])))
        : line("forward", strong(`${added ? "h" : "a"} = ${net.activations[layer - 1]}(${net.normalised ? "normalised z" : "z"})`), " = ", strong(short(own.h[unit]))));
      if (added) said.push(line("forward", strong(`a = ${names.below(layer)} + h`), ` = ${short(ins[unit])} + ${signed(own.h[unit])} = `, strong(short(own.a[unit]))));
    }
    if (last && sees.loss()) said.push(line("", `the example is ${net.targetText ?? short(pass.target?.[unit] ?? NaN)}; its loss J = ${short(pass.loss)} (${net.loss})`));
    if (!sees.back(layer)) return said;
    if (last) {
      said.push(net.matched && pass.target ? line("backward", strong("δ = ŷ − y"), ` = ${short(pass.prediction[unit])} − ${short(pass.target[unit])} = `, strong(short(own.delta[unit])))
        : line("backward", strong("δ = ∂J/∂z"), " = ", strong(short(own.delta[unit]))));
    } else {
      const next = pass.layers[layer], wide = net.sizes[layer + 1];
      const pairs = Array.from(next.delta, (d, k) => [d, next.weights[unit * wide + k]]);
      const whole = `Σₖ δₖ wₖ${past ? ` + ∂J/∂a${names.index(layer + 1)}` : ""}`, sum = terms(pairs) + (past ? ` + ${signed(next.up[unit], 3)}` : "");
      if (net.normalised) said.push(line("backward", strong(`∂J/∂a = ${whole}`), ` = ${sum} = `, strong(short(own.up[unit])), "; through the normalisation ", strong(`δ = ${short(own.delta[unit])}`)));
      else said.push(line("backward", strong(`δ = g′(z) ${past ? `(${whole})` : whole}`), ` = ${short(own.slope[unit])} · (${sum}) = ${short(own.slope[unit])} · ${signed(own.up[unit])} = `, strong(short(own.delta[unit]))));
      if (own.slope[unit] === 0) said.push(line("note", "the slope g′(z) is 0: this unit passes nothing back here, and its weights do not learn from this example."));
      else if (Math.abs(own.slope[unit]) < 0.01) said.push(line("note", "the unit is saturated: its slope is near 0, so hardly any gradient passes (L1.8)."));
    }
    return said;
  }

  function saidWeight(layer, unit, from, own) {
    const i = from * net.sizes[layer] + unit, a = layer === 1 ? pass.x[from] : pass.layers[layer - 2].a[from];
    const said = [line("forward", strong(names.weight(layer, from, unit)), ` = ${short(own.weights[i])}`)];
    if (sees.back(layer)) {
      said.push(line("backward", strong("∂J/∂w = a · δ"), ` = ${signed(a)} · ${signed(own.delta[unit])} = `, strong(short(own.gw[i]))));
      said.push(line("", strong("SGD: w − η ∂J/∂w"), ` with rate ${short(net.rate)} adds ${short(-net.rate * own.gw[i])} to ${short(own.weights[i])}`));
    }
    return said;
  }

  // Every weight into the unit: by keyboard too, where a line is too thin to be hit.
  function weightTable(layer, unit, own) {
    const size = net.sizes[layer], ins = layer === 1 ? pass.x : pass.layers[layer - 2].a, back = sees.back(layer);
    const rows = Array.from(ins, (a, i) => {
      const name = el("button", { type: "button", class: "jump" }, layer === 1 ? cut(net.inputs[i], 28) : `unit ${i + 1}`);
      name.addEventListener("click", () => { choose({ layer, unit, from: i }); panel.querySelectorAll("tbody .jump")[i]?.focus(); });
      const g = own.gw[i * size + unit];
      return el("tr", chosen.from === i ? { class: "now" } : {}, el("th", { scope: "row" }, name), ...[own.weights[i * size + unit], a].map((v) => el("td", {}, short(v, 3))),
        ...(back ? [el("td", { class: "gradient" }, short(g, 3)), el("td", {}, short(-net.rate * g, 2))] : [el("td", {}, "·"), el("td", {}, "·")]));
    });
    if (own.bias) rows.push(el("tr", {}, el("th", { scope: "row" }, "bias"), el("td", {}, short(own.bias[unit], 3)), el("td", {}, "1"),
      ...(back ? [el("td", { class: "gradient" }, short(own.gb[unit], 3)), el("td", {}, short(-net.rate * own.gb[unit], 2))] : [el("td", {}, "·"), el("td", {}, "·")])));
    const head = [layer === 1 ? "from" : `from hidden ${layer - 1}`, "w", layer === 1 ? "x" : "a", "∂J/∂w", "SGD adds"].map((text) => el("th", { scope: "col" }, text));
    return el("div", { class: "wide" }, el("table", { class: "weights" }, el("caption", { class: "unseen" }, "Weights into this neuron"), el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)));
  }

  // Where the reader stands --------------------------------------------------------------------

  function sentence() {
    const current = now();
    if (position === null) return "Both passes are shown.";
    if (current === null) return "The inputs of the example.";
    if (current.loss) return `The loss: J = ${short(pass.loss)}, ${net.loss} of the prediction and the example's ${net.targetText ?? "target"}.`;
    const { layer } = current, last = layer === names.depth;
    if (current.forward) return `Forward, ${names.title(layer)}: ${names.forward(layer)}, ${last ? `ŷ = ${net.unit}(z${names.index(layer)})` : names.activation(layer)}.`;
    return `Backward, ${names.title(layer)}: ${last ? `δ${names.index(layer)} = ${net.matched ? "ŷ − y" : "∂J/∂z"}` : names.back(layer)}, ${names.gradient(layer)}.`;
  }

  function go(to) {
    position = to === null || to < 0 ? null : Math.min(to, stepsOf(net));
    const current = now();
    if (current) chosen = { layer: current.layer, unit: Math.min(chosen.unit, net.sizes[current.layer] - 1) };
    paint();
    live.textContent = sentence();
    if (position !== null) { // on a phone one layer is seen at a time
      const middle = left(current?.layer ?? 0) + CARD.width / 2;
      host.scrollTo({ left: middle - host.clientWidth / 2, behavior: still.matches ? "auto" : "smooth" });
    }
  }

  function choose(to) {
    chosen = to;
    paint();
  }

  host.addEventListener("keydown", (event) => {
    const node = event.target.closest?.(".neuron");
    if (!node || event.ctrlKey || event.metaKey || event.altKey) return;
    const layer = Number(node.dataset.layer), unit = Number(node.dataset.unit);
    const to = { ArrowUp: [layer, unit - 1], ArrowDown: [layer, unit + 1], ArrowLeft: [layer - 1, unit], ArrowRight: [layer + 1, unit], Enter: [layer, unit], " ": [layer, unit] }[event.key];
    if (!to) return;
    event.preventDefault();
    event.stopPropagation();
    const l = Math.max(0, Math.min(to[0], names.depth)), k = Math.max(0, Math.min(to[1], shownUnits(l) - 1));
    choose({ layer: l, unit: k });
    host.querySelector(`.neuron[data-layer="${l}"][data-unit="${k}"]`)?.focus();
  });

  addEventListener("resize", () => { if (net) paint(); });

  return {
    update(network, numbers) { net = { ...network, inputs: network.inputs.map(shown), outputs: network.outputs.map(shown) }; pass = numbers; if (position !== null) position = Math.min(position, stepsOf(net)); paint(); live.textContent = sentence(); },
    maps(url) { for (const unit of drawn.units) if (unit.layer > 0 && unit.layer < names.depth) unit.map.setAttribute("href", url(unit.layer, unit.k)); },
    go, choose,
    next: () => go(position === null ? 0 : position === stepsOf(net) ? null : position + 1),
    back: () => go(position === null ? stepsOf(net) : position === 0 ? null : position - 1),
    get position() { return position; },
    get chosen() { return chosen; },
    sentence,
  };
}

// Buttons and keys that walk through the passes: the same on every page with a network.
function walking(view) {
  for (const [id, act] of [["first", () => view.go(0)], ["back", view.back], ["next", view.next], ["last", () => view.go(null)]]) $(id).addEventListener("click", act);
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, select, textarea, summary, .neuron")) return;
    const act = { ArrowRight: view.next, ArrowLeft: view.back, Home: () => view.go(0), Escape: () => view.go(null) }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
}
