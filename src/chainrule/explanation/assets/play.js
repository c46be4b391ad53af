// The page of `chainrule play`: settings, pictures and keys around the learner.
"use strict";

const data = JSON.parse($("data").textContent);
for (const name of Object.keys(data.rows)) for (const key of ["x", "t"]) data.rows[name][key] = Float64Array.from(data.rows[name][key]);
const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d00", "#5e4fa2"];
const GRID = 40, SMALL = 24;
let model = learner(data.settings), timer = null, lastPaint = 0, surfaceSize = [0, 0];
const view = neurons($("sheet"), $("panel"), $("saying"), () => paintMaps());
const part = () => ($("part").value in data.rows ? $("part").value : "train");

// The network as it is now, on the chosen example ------------------------------------------------

function example() {
  const rows = data.rows[part()], row = Math.max(0, Math.min(rows.t.length, Number($("row").value) || 1) - 1), d = data.inputs.length;
  return { row, x: rows.x.slice(row * d, (row + 1) * d), t: rows.t[row] };
}

const targetText = (t) => (data.task === "regression" ? `${short(t * data.scale + data.center, 6)} (${short(t)} standardised)` : data.classes[t]);
const targetRow = (t) => (data.task === "multiclass" ? data.classes.map((_, c) => Number(c === t)) : [t]);

function passNow() {
  const { x, t } = example(), found = model.run(Float64Array.from(x), [t], [1], Object.keys(model.program.outputs));
  const layers = Array.from({ length: model.depth }, (_, l) => ({
    weights: model.params[`layers/${l}/weights`], bias: model.params[`layers/${l}/bias`],
    gw: found[`gradients/layers/${l}/weights`], gb: found[`gradients/layers/${l}/bias`],
    ...Object.fromEntries(["z", "h", "a", "slope", "up", "delta"].map((name) => [name, found[`layers/${l}/${name}`]])),
  }));
  return { x, target: targetRow(t), prediction: found.prediction, loss: found.loss[0], layers };
}

const netNow = () => ({
  sizes: model.sizes, inputs: data.inputs, outputs: data.outputs, activations: model.settings.hidden.map(() => model.settings.activation), unit: data.unit,
  loss: model.settings.loss, matched: model.settings.loss === data.losses[0], convention: data.convention, rate: model.settings.rate,
  targetText: targetText(example().t), normalised: false, residual: model.residual,
});

// Surfaces: predictions, and each unit's activation, over two columns -----------------------------

function grid(size) {
  const d = data.inputs.length, [i, j] = [Number($("across").value), Number($("up").value)], { x } = example();
  const [a, b] = [range(i), range(j)], points = new Float64Array(size * size * d);
  for (let r = 0; r < size; r++) for (let c = 0; c < size; c++) {
    const at = (r * size + c) * d;
    points.set(x, at);
    points[at + i] = a[0] + ((c + 0.5) / size) * (a[1] - a[0]);
    points[at + j] = b[1] - ((r + 0.5) / size) * (b[1] - b[0]);
  }
  return { points, a, b, i, j };
}

function range(column) {
  const d = data.inputs.length;
  let low = Infinity, high = -Infinity;
  for (const { x } of Object.values(data.rows)) for (let k = column; k < x.length; k += d) { low = Math.min(low, x[k]); high = Math.max(high, x[k]); }
  const margin = 0.06 * (high - low) || 1;
  return [low - margin, high + margin];
}

const rgb = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
const mix = (from, to, share) => from.map((v, k) => v + (to[k] - v) * share);
const BACK = [250, 250, 250];

function shade(prediction, row) {
  const k = data.outputs.length;
  if (data.task === "regression") { const s = Math.tanh(prediction[row]); return mix(BACK, rgb(s > 0 ? PALETTE[1] : PALETTE[0]), 0.8 * Math.abs(s)); }
  if (k === 1) return mix(rgb(PALETTE[0]), rgb(PALETTE[1]), prediction[row]).map((v) => 60 + 0.75 * v);
  const c = classOf(prediction, row);
  return mix(BACK, rgb(PALETTE[c % PALETTE.length]), 0.15 + 0.5 * prediction[row * k + c]);
}

function image(size, color) {
  const canvas = el("canvas", { width: size, height: size }), context = canvas.getContext("2d"), pixels = context.createImageData(size, size);
  for (let p = 0; p < size * size; p++) { const [r, g, b] = color(p); pixels.data.set([r, g, b, 255], 4 * p); }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

function paintSurface() {
  const { points, a, b, i, j } = grid(GRID), n = GRID * GRID;
  const { prediction } = model.run(points, new Float64Array(n), ones(n), ["prediction"]);
  const canvas = $("surface"), context = canvas.getContext("2d"), size = canvas.width, d = data.inputs.length;
  context.imageSmoothingEnabled = true;
  context.drawImage(image(GRID, (p) => shade(prediction, p)), 0, 0, size, size);
  for (const [name, { x, t }] of Object.entries(data.rows)) t.forEach((y, row) => {
    const u = size * (x[row * d + i] - a[0]) / (a[1] - a[0]), v = size * (b[1] - x[row * d + j]) / (b[1] - b[0]);
    context.beginPath();
    context.arc(u, v, name === "train" ? 3.2 : 3.6, 0, 7);
    context.fillStyle = context.strokeStyle = data.task === "regression" ? (y > 0 ? PALETTE[1] : PALETTE[0]) : PALETTE[y % PALETTE.length];
    if (name === "train") { context.fill(); context.strokeStyle = "#ffffff"; context.lineWidth = 0.8; } else context.lineWidth = 1.8;
    context.stroke();
  });
  canvas.setAttribute("aria-label", `Predictions over ${data.inputs[i]} (across) and ${data.inputs[j]} (up); the other inputs are those of the chosen example`);
}

function paintMaps() {
  if (model.depth < 2) return;
  const { points } = grid(SMALL), n = SMALL * SMALL, wanted = Array.from({ length: model.depth - 1 }, (_, l) => `layers/${l}/a`);
  const found = model.run(points, new Float64Array(n), ones(n), wanted);
  view.maps((layer, k) => {
    const a = found[`layers/${layer - 1}/a`], m = model.sizes[layer];
    let most = 1e-9;
    for (let p = 0; p < n; p++) most = Math.max(most, Math.abs(a[p * m + k]));
    return image(SMALL, (p) => { const v = a[p * m + k] / most; return mix([243, 244, 246], rgb(v > 0 ? PALETTE[1] : PALETTE[0]), Math.abs(v)); }).toDataURL();
  });
}

// Curves, words ----------------------------------------------------------------------------------

function paintCurve() {
  const wide = 440, high = 150, left = 44, below = 22, { history } = model, series = Object.keys(data.rows);
  const values = history.flatMap((h) => series.map((s) => h[`${s}_loss`])).filter((v) => Number.isFinite(v) && v > 0);
  const [low, top] = values.length ? [Math.log10(Math.min(...values)) - 0.05, Math.log10(Math.max(...values)) + 0.05] : [-1, 0.3];
  const x = (k) => left + ((wide - left - 8) * k) / Math.max(1, history.length - 1), y = (v) => 6 + ((high - below - 6) * (top - Math.log10(Math.max(v, 1e-300)))) / (top - low);
  const parts = [];
  for (let p = Math.ceil(low); p <= top; p++) parts.push(make("line", { x1: left, x2: wide - 8, y1: at(y(10 ** p)), y2: at(y(10 ** p)), class: "tick" }), make("text", { x: left - 6, y: at(y(10 ** p) + 4), "text-anchor": "end" }, short(10 ** p)));
  parts.push(make("text", { x: wide - 8, y: high - 6, "text-anchor": "end" }, `epoch ${model.epoch}`));
  for (const s of series) {
    const stride = Math.max(1, Math.floor(history.length / 800));
    const points = history.filter((_, k) => k % stride === 0 || k === history.length - 1).map((h) => `${at(x(h.epoch - 1))},${at(y(h[`${s}_loss`]))}`);
    parts.push(make("polyline", { points: points.join(" "), class: `curve ${s}` }));
  }
  $("curve").replaceChildren(...parts);
  const last = history.at(-1), of = (s) => (last ? short(last[`${s}_loss`]) : "–");
  $("curve").setAttribute("aria-label", `Loss by epoch, logarithmic: train ${of("train")}, test ${of("test")}`);
  const score = (s) => (!last || last[`${s}_score`] === undefined ? "–" : data.task === "regression" ? short(last[`${s}_score`]) : `${(100 * last[`${s}_score`]).toFixed(1)} %`);
  $("numbers").textContent = `epoch ${model.epoch} · loss train ${of("train")}, test ${of("test")} · ${data.task === "regression" ? "RMSE" : "accuracy"} train ${score("train")}, test ${score("test")}`;
}

function paintHealth() {
  const { said } = model.broken ? { said: [["broken", "The loss is no longer finite: the steps are too long. Start again with a tenth of the learning rate."]] } : health(model);
  $("health").replaceChildren(...(said.length ? said.map(([kind, text]) => el("li", { class: kind }, text)) : [el("li", { class: "well" }, "No unit is dead or saturated, and gradients reach the first layer.")]));
}

function paintFormula() {
  if (!$("formula").closest("details").open) return;
  const lines = [], names = naming(netNow());
  for (let l = 1; l <= model.depth; l++) {
    const w = model.params[`layers/${l - 1}/weights`], b = model.params[`layers/${l - 1}/bias`], m = model.sizes[l], last = l === model.depth;
    for (let k = 0; k < m; k++) {
      const terms = Array.from({ length: model.sizes[l - 1] }, (_, i) => [w[i * m + k], l === 1 ? data.inputs[i] : `a${names.index(l - 1)},${i + 1}`]);
      const sum = terms.map(([v, name], i) => `${v < 0 ? (i ? "− " : "−") : i ? "+ " : ""}${short(Math.abs(v), 3)} ${name}`).join(" ") + ` ${b[k] < 0 ? "−" : "+"} ${short(Math.abs(b[k]), 3)}`;
      lines.push(last ? (data.unit === "softmax" ? `z${names.index(l)},${k + 1} = ${sum}` : `ŷ = ${data.unit === "identity" ? sum : `${data.unit}(${sum})`}`) : `a${names.index(l)},${k + 1} = ${model.settings.activation}(${sum})`);
    }
  }
  if (data.unit === "softmax") lines.push(`ŷ = softmax(z${names.index(model.depth)})   [${data.outputs.join(", ")}]`);
  $("formula").textContent = lines.join("\n");
}

function paint(all = true) {
  view.update(netNow(), passNow());
  paintCurve();
  if (all) { paintSurface(); paintMaps(); paintHealth(); paintFormula(); }
}

// Training ---------------------------------------------------------------------------------------

function trainFor(milliseconds) {
  const end = performance.now() + milliseconds;
  while (performance.now() < end && !model.broken && model.epoch < model.settings.epochs) model.advance();
}

function play(on) {
  if (timer !== null) cancelAnimationFrame(timer);
  timer = null;
  if (on && model.epoch >= model.settings.epochs) { $("epochs").value = model.settings.epochs = 2 * model.settings.epochs; }
  const frame = (now) => {
    trainFor(24);
    const done = model.broken || model.epoch >= model.settings.epochs;
    if (done || now - lastPaint > 160) { lastPaint = now; paint(); }
    if (done) play(false); else timer = requestAnimationFrame(frame);
  };
  if (on) timer = requestAnimationFrame(frame);
  else if (model.steps) { paint(); $("news").textContent = `Training is at rest after epoch ${model.epoch}.`; }
  $("play").setAttribute("aria-pressed", String(on));
  $("play").textContent = on ? "pause" : "train";
}

function restart() {
  play(false);
  model = learner(chosenSettings());
  paint();
  $("news").textContent = model.settings.residual && !model.residual.length
    ? "A fresh network. Only hidden layers of one width, two or three, can add their inputs: none does here." : "A fresh network.";
}

const number = (id, least, most) => { const v = Number($(id).value); return Number.isFinite(v) ? Math.max(least, Math.min(most, v)) : data.settings[id]; };

function chosenSettings() {
  const hidden = $("hidden").value.split(/[\s,;]+/).filter(Boolean).map((h) => Math.max(1, Math.min(256, Math.round(Number(h)) || 1))).slice(0, data.most);
  $("hidden").value = hidden.join(", ");
  return {
    hidden, activation: $("activation").value, residual: $("residual").value === "yes", loss: $("loss").value, optimizer: $("optimizer").value, init: $("init").value, rate: number("rate", 0, 1e6),
    l1: number("l1", 0, 1e6), l2: number("l2", 0, 1e6), batch: Math.round(number("batch", 0, 1e6)), epochs: Math.round(number("epochs", 1, 1e6)), gain: number("gain", 0, 1e3), seed: Math.round(number("seed", 0, 2 ** 31)),
  };
}

// Those that only say how to go on are taken at once, the others with a fresh network.
for (const id of ["rate", "l1", "l2", "batch", "epochs"]) $(id).addEventListener("change", () => { const kept = chosenSettings(); for (const key of ["rate", "l1", "l2", "batch", "epochs"]) model.settings[key] = kept[key]; paint(false); });
for (const id of ["hidden", "activation", "residual", "loss", "init", "gain", "seed"]) $(id).addEventListener("change", restart);
$("optimizer").addEventListener("change", () => { $("rate").value = data.rates[$("optimizer").value]; restart(); });
for (const id of ["part", "row", "across", "up"]) $(id).addEventListener("change", () => paint());
$("play").addEventListener("click", () => play(timer === null));
$("one").addEventListener("click", () => { play(false); model.advance(); paint(); });
$("epoch").addEventListener("click", () => { play(false); while (!model.advance() && !model.broken); paint(); });
$("restart").addEventListener("click", restart);
$("formula").closest("details").addEventListener("toggle", paintFormula);

// The model file ---------------------------------------------------------------------------------

function exported() {
  const s = model.settings, scores = model.scores(), rows = Object.fromEntries(Object.keys(data.rows).map((name) => [name, data.rows[name].t.length]));
  const document = structuredClone(data.document), last = (h) => ({ epoch: h.epoch, train_loss: h.train_loss, validation_loss: null, learning_rate: s.rate });
  Object.assign(document.network, { sizes: model.sizes, activation: s.activation, initializer: s.init });
  Object.assign(document.options, { hidden: s.hidden, activation: s.activation, optimizer: s.optimizer, loss: data.saved[s.loss] ?? null, learning_rate: s.rate, epochs: s.epochs, batch_size: s.batch, l1: s.l1, l2: s.l2, init: s.init, seed: s.seed });
  document.history = model.history.slice(-2000).map(last);
  document.kept_epochs = [model.epoch];
  Object.assign(document.rows, { train: rows.train, test: rows.test ?? 0 });
  const places = new Map(document.scores.sets.map((name, k) => [name, k])), score = data.task === "regression" ? "RMSE" : "accuracy";
  for (const line of document.scores.rows) for (const name of Object.keys(rows)) line.values[places.get(name)] = line.score === score && rows[name] ? scores[`${name}_score`] : null;
  const arrays = {};
  for (const [path, values] of Object.entries(model.params)) {
    const layer = Number(path.split("/")[1]);
    arrays[`params/${path}`] = { values, shape: path.endsWith("bias") ? [values.length] : [model.sizes[layer], model.sizes[layer + 1]] };
  }
  return modelFile(arrays, document);
}

$("export").addEventListener("click", () => {
  play(false);
  if (model.broken) { $("news").textContent = "Weights that are not finite make no model: start again."; return; }
  if (model.residual.length) { $("news").textContent = "Model files hold no layers that add their inputs: train without them to save."; return; }
  const url = URL.createObjectURL(new Blob([exported()], { type: "application/octet-stream" })), link = el("a", { href: url, download: data.file });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  $("news").textContent = `Saved ${data.file}; predict with: chainrule predict ${data.file} DATA`;
});

walking(view);
addEventListener("keydown", (event) => {
  if (event.key !== "t" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, select, textarea")) return;
  play(timer === null);
});
paint();
document.documentElement.classList.add("ready");
globalThis.chainrule = Object.freeze({ data, compile, learner, view, exported, health, get model() { return model; }, paint, restart });
