// Whole graphs of arrays, as explanation/play/programs.py writes them: the executor of a page.
// Scalar operations are those of lowering.js; here is what moves, sums and multiplies arrays.
"use strict";

const entries = (shape) => shape.reduce((product, size) => product * size, 1);

function strides(shape) {
  const found = new Array(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) found[i] = found[i + 1] * shape[i + 1];
  return found;
}

// For every entry of an array of this shape, in order, the sum of its indices times the steps.
function offsets(shape, steps) {
  const found = new Int32Array(entries(shape)), index = new Array(shape.length).fill(0);
  for (let i = 0, at = 0; i < found.length; i++) {
    found[i] = at;
    for (let k = shape.length - 1; k >= 0; k--) {
      at += steps[k];
      if (++index[k] < shape[k]) break;
      at -= steps[k] * shape[k];
      index[k] = 0;
    }
  }
  return found;
}

function copying(x, from, out) {
  return () => { for (let i = 0; i < out.length; i++) out[i] = x[from[i]]; };
}

// Folds each entry of x into the entry of out that is left when the axes are gone.
function reducing(fold, start) {
  return ({ axis, axes = [axis] }, [x], [shape], out) => {
    const kept = shape.map((_, k) => k).filter((k) => !axes.includes(k));
    const own = strides(kept.map((k) => shape[k])), steps = shape.map(() => 0);
    kept.forEach((k, i) => { steps[k] = own[i]; });
    const to = offsets(shape, steps);
    return () => {
      out.fill(start);
      for (let i = 0; i < x.length; i++) out[to[i]] = fold(out[to[i]], x[i]);
    };
  };
}

// Einstein's sum of two arrays: letters that the result lacks are summed over.
function contracting({ spec }, [x, z], shapes, out) {
  const [given, result] = spec.split("->"), letters = given.split(",");
  const size = {}, step = [{}, {}];
  letters.forEach((word, k) => strides(shapes[k]).forEach((s, i) => {
    size[word[i]] = shapes[k][i];
    step[k][word[i]] = (step[k][word[i]] ?? 0) + s;
  }));
  const summed = Object.keys(size).filter((letter) => !result.includes(letter));
  const along = (list, k) => offsets(list.map((letter) => size[letter]), list.map((letter) => step[k][letter] ?? 0));
  const [xo, zo, xs, zs] = [along([...result], 0), along([...result], 1), along(summed, 0), along(summed, 1)];
  return () => {
    for (let i = 0; i < out.length; i++) {
      const a = xo[i], b = zo[i];
      let total = 0;
      for (let j = 0; j < xs.length; j++) total += x[a + xs[j]] * z[b + zs[j]];
      out[i] = total;
    }
  };
}

// operation -> (attributes, arrays, their shapes, out, its shape) -> what fills out.
const MOVES = {
  contract: contracting,
  broadcast: ({ axes }, [x], [shape], out, wide) => {
    const own = strides(shape), steps = wide.map(() => 0);
    axes.forEach((axis, k) => { if (shape[k] !== 1) steps[axis] = own[k]; });
    return copying(x, offsets(wide, steps), out);
  },
  transpose: ({ axes }, [x], [shape], out, turned) => {
    const own = strides(shape);
    return copying(x, offsets(turned, axes.map((axis) => own[axis])), out);
  },
  reduce_sum: reducing((a, b) => a + b, 0), reduce_prod: reducing((a, b) => a * b, 1),
  reduce_max: reducing((a, b) => Math.max(a, b), -Infinity),
  reduce_min: reducing((a, b) => Math.min(a, b), Infinity),
};
const SAME = new Set(["reshape", "identity", "stop_gradient", "value_of"]);

// Loops of their own for what most of the time goes into; others call the table per entry.
const LOOPS = {
  add: (x, z, out) => { for (let i = 0; i < out.length; i++) out[i] = x[i] + z[i]; },
  subtract: (x, z, out) => { for (let i = 0; i < out.length; i++) out[i] = x[i] - z[i]; },
  multiply: (x, z, out) => { for (let i = 0; i < out.length; i++) out[i] = x[i] * z[i]; },
  divide: (x, z, out) => { for (let i = 0; i < out.length; i++) out[i] = x[i] / z[i]; },
};

function each(operation, attributes, args, out) {
  const [x, y, z] = args;
  if (LOOPS[operation]) return () => LOOPS[operation](x, y, out);
  if (!Object.hasOwn(TABLE, operation)) throw new Error(`the page cannot compute ${operation}`);
  const f = TABLE[operation];
  if (args.length === 1) return () => { for (let i = 0; i < out.length; i++) out[i] = f(x[i], attributes); };
  if (args.length === 2) return () => { for (let i = 0; i < out.length; i++) out[i] = f(x[i], y[i], attributes); };
  return () => { for (let i = 0; i < out.length; i++) out[i] = f(x[i], y[i], z[i], attributes); };
}

// The graph for these sizes as a function from inputs by path (arrays or numbers) to those of its
// outputs that are wanted, by path. Arrays are Float64Array and are used again by the next call.
function compile(graph, sizes, wanted = Object.keys(graph.outputs)) {
  const { nodes } = graph, needed = new Set();
  const need = (i) => { if (!needed.has(i)) { needed.add(i); nodes[i][1].forEach(need); } };
  wanted.forEach((path) => need(graph.outputs[path]));
  const shapes = nodes.map(([, , shape]) => shape.map((s) => (typeof s === "string" ? sizes[s] : s)));
  const values = new Array(nodes.length), fixed = new Set(), steps = [];
  nodes.forEach(([operation, inputs, , attributes], i) => {
    if (!needed.has(i)) return;
    if (SAME.has(operation)) {
      values[i] = values[inputs[0]];
      if (fixed.has(inputs[0])) fixed.add(i);
      return;
    }
    const out = values[i] = new Float64Array(entries(shapes[i]));
    if (operation === "input") return;
    if (operation === "constant") {
      const numbers = attributes.value.map(special);
      if (numbers.length === 1) out.fill(numbers[0]); else out.set(numbers);
      fixed.add(i);
      return;
    }
    const args = inputs.map((k) => values[k]), given = inputs.map((k) => shapes[k]);
    const step = Object.hasOwn(MOVES, operation) ? MOVES[operation](attributes, args, given, out, shapes[i])
      : each(operation, attributes, args, out);
    if (inputs.length && inputs.every((k) => fixed.has(k))) { step(); fixed.add(i); } else steps.push(step);
  });
  const taken = Object.entries(graph.inputs).filter(([, i]) => needed.has(i));
  const results = Object.fromEntries(wanted.map((path) => [path, values[graph.outputs[path]]]));
  return (given) => {
    for (const [path, i] of taken) {
      const value = given[path];
      if (typeof value === "number") values[i].fill(value);
      else if (value.length === values[i].length) values[i].set(value);
      else throw new Error(`${path} has ${value.length} entries for ${values[i].length}`);
    }
    for (const step of steps) step();
    return results;
  };
}
