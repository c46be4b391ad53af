// Training on the page: what runs are the recorded programs; here are their weights, the order of
// the rows, and what is kept of each epoch.
"use strict";

function randomNumbers(seed) { // mulberry32
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// Weights (inputs, outputs) by the initialiser of this name (L1.7), times the gain.
function initial(name, inputs, outputs, gain, random) {
  const { fan, scale, std, uniform } = data.inits[name];
  const size = std ?? Math.sqrt(scale / (fan === "in" ? inputs : (inputs + outputs) / 2));
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const draw = uniform ? () => Math.sqrt(3) * (2 * random() - 1) : normal;
  return Float64Array.from({ length: inputs * outputs }, () => gain * size * draw());
}

function learner(settings) {
  const sizes = [data.inputs.length, ...settings.hidden, data.outputs.length], depth = sizes.length - 1;
  // Layers add their inputs where those are as many: between hidden layers of one width.
  const added = settings.residual && settings.hidden.length > 1 && new Set(settings.hidden).size === 1;
  const residual = added ? settings.hidden.map((_, i) => i + 1).slice(1) : [];
  const program = data.programs[`${settings.hidden.length ? settings.activation : data.activations[0]}/${settings.loss}${added ? ", plus inputs" : ""}`][settings.hidden.length];
  const open = Object.fromEntries(settings.hidden.map((h, i) => [`h${i + 1}`, h]));
  const rule = data.updates[settings.optimizer], kept = Object.keys(rule.inputs).filter((path) => path.startsWith("slots"));
  const random = randomNumbers(settings.seed);
  const params = {}, slots = {}, compiled = new Map(), updates = new Map();
  for (let layer = 0; layer < depth; layer++) {
    const chosen = settings.init === "auto" ? data.auto[layer === depth - 1 ? "identity" : settings.activation] : settings.init;
    params[`layers/${layer}/weights`] = initial(chosen, sizes[layer], sizes[layer + 1], settings.gain, random);
    params[`layers/${layer}/bias`] = new Float64Array(sizes[layer + 1]);
  }
  for (const [path, p] of Object.entries(params)) slots[path] = Object.fromEntries(kept.map((slot) => [slot, new Float64Array(p.length)]));
  const gradients = Object.keys(params).map((path) => `gradients/${path}`);

  // The program for so many rows, with those of its outputs that are asked for.
  function ready(n, wanted) {
    const key = `${n} ${wanted}`;
    if (!compiled.has(key)) compiled.set(key, compile(program, { n, ...open }, wanted));
    return compiled.get(key);
  }

  function run(x, t, w, wanted) {
    const given = { x, t, w, l1: settings.l1, l2: settings.l2 };
    for (const path of Object.keys(params)) given[`params/${path}`] = params[path];
    return ready(w.length, wanted)(given);
  }

  const own = {
    settings, sizes, depth, residual, params, program, steps: 0, epoch: 0, place: 0, history: [], broken: false,
    run,
    // One update of all parameters at once, by the gradient of the mean loss of these rows.
    step(rows) {
      const { x, t, w } = gathered(data.rows.train, rows);
      const found = run(x, t, w, ["loss", ...gradients]), loss = found.loss[0];
      for (const path of Object.keys(params)) {
        const p = params[path];
        if (!updates.has(p.length)) updates.set(p.length, compile(rule, { m: p.length }));
        const after = updates.get(p.length)({ p, g: found[`gradients/${path}`], rate: settings.rate, step: own.steps, ...slots[path] });
        p.set(after.p);
        for (const slot of kept) slots[path][slot].set(after[slot]);
      }
      own.steps += 1;
      own.broken ||= !Number.isFinite(loss) || Object.values(params).some((p) => !p.every(Number.isFinite));
      return loss;
    },
    // The next minibatch of an order drawn anew for each epoch; true at the end of one.
    advance() {
      const rows = data.rows.train.t.length;
      if (own.place === 0) own.order = shuffled(rows, randomNumbers((settings.seed + 1) * 7919 + own.epoch));
      const size = settings.batch || rows, batch = own.order.slice(own.place, own.place + size);
      own.step(batch);
      own.place += size;
      if (own.place < rows) return false;
      own.place = 0;
      own.epoch += 1;
      own.history.push({ epoch: own.epoch, ...own.scores() });
      return true;
    },
    // Mean loss and accuracy (or root mean squared error in the target's units), train and test.
    scores() {
      const found = {};
      for (const part of Object.keys(data.rows)) {
        const { x, t } = data.rows[part], n = t.length;
        if (!n) continue;
        const { loss, prediction } = run(x, t, ones(n), ["loss", "prediction"]);
        found[`${part}_loss`] = loss[0];
        found[`${part}_score`] = scored(prediction, t);
      }
      return found;
    },
  };
  return own;
}

const ones = (n) => new Float64Array(n).fill(1);

function gathered({ x, t }, rows) {
  const d = data.inputs.length, out = { x: new Float64Array(rows.length * d), t: new Float64Array(rows.length), w: ones(rows.length) };
  rows.forEach((row, i) => {
    for (let j = 0; j < d; j++) out.x[i * d + j] = x[row * d + j];
    out.t[i] = t[row];
  });
  return out;
}

function shuffled(n, random) {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

// The class that a row of predictions means: its place among the classes.
function classOf(prediction, row) {
  const k = data.outputs.length;
  if (k === 1) return prediction[row] > 0.5 ? 1 : 0;
  let best = 0;
  for (let c = 1; c < k; c++) if (prediction[row * k + c] > prediction[row * k + best]) best = c;
  return best;
}

function scored(prediction, t) {
  let total = 0;
  if (data.task === "regression") {
    t.forEach((y, row) => { total += (prediction[row] - y) ** 2; });
    return data.scale * Math.sqrt(total / t.length);
  }
  t.forEach((y, row) => { total += classOf(prediction, row) === y; });
  return total / t.length;
}

// What is wrong with the units of a layer, in words (L1.7, L1.8, L2.5).
function health(model) {
  const { x, t } = data.rows.train, n = t.length, { depth, sizes, settings } = model;
  const hidden = depth - 1, wanted = [];
  for (let l = 0; l < depth; l++) wanted.push(`layers/${l}/delta`, ...(l < hidden ? [`layers/${l}/slope`, `layers/${l}/a`] : []));
  const found = model.run(x, t, ones(n), wanted), said = [], size = [];
  for (let l = 0; l < depth; l++) {
    const delta = found[`layers/${l}/delta`];
    size.push(delta.reduce((sum, d) => sum + Math.abs(d), 0) / delta.length);
    if (l === hidden) continue;
    const slope = found[`layers/${l}/slope`], a = found[`layers/${l}/a`], m = sizes[l + 1], least = { tanh: 0.05, logistic: 0.0125 }[settings.activation];
    let dead = 0, stuck = 0, same = m > 1;
    for (let k = 0; k < m; k++) {
      let zero = 0, flat = 0;
      for (let i = 0; i < n; i++) {
        zero += slope[i * m + k] === 0;
        flat += slope[i * m + k] < (least ?? -1);
        same &&= Math.abs(a[i * m + k] - a[i * m]) < 1e-12;
      }
      dead += zero === n;
      stuck += flat > 0.9 * n;
    }
    const name = `hidden ${l + 1}`;
    if (dead) said.push(["dead", `${dead} of ${m} units of ${name} are dead on 100 % of the training rows: z is below 0 for all of them, so their slope and gradient are 0 and stay 0. Try a smaller learning rate, leaky_relu, or another start.`]);
    if (stuck) said.push(["saturated", `${stuck} of ${m} units of ${name} are saturated on more than 90 % of the training rows: g′(z) is below 5 % of its largest value, so hardly any gradient passes through them (L1.8). Start with smaller weights, or take relu.`]);
    if (same && dead < m) said.push(["equal", `all ${m} units of ${name} are equal, and have equal gradients: they stay equal (L1.7). Start from random weights.`]);
  }
  if (hidden && size[hidden] > 0 && size[0] < size[hidden] / 100) said.push(["vanishing", `gradients vanish: the mean |δ| is ${short(size[0], 2)} in hidden 1 and ${short(size[hidden], 2)} in the output layer, ${short(size[hidden] / Math.max(size[0], 1e-300), 2)} times more (L1.8). Each layer multiplies by g′(z) and the weights; try relu, fewer layers, or an initialisation that fits.`]);
  return { said, size };
}
