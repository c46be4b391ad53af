// The picture: which blocks and wires are seen when some modules are folded, and drawing them.
// picture_scene.py and picture.py do the same for files; labels here are measured, not estimated.
"use strict";

const GATE_HEIGHT = 38, LABEL_SIZE = 12, CELL = 8, CELL_SMALL = 6;
const MOST_ROWS = 8, MOST_COLUMNS = 12, MOST_LETTERS = 20;
const SANS = 'ui-sans-serif, system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const SERIF = '"STIX Two Text", "Latin Modern Roman", Cambria, Georgia, "Liberation Serif", "Times New Roman", serif';

const isList = Array.isArray;
const flat = (value) => (isList(value) ? value.flatMap(flat) : [Number(special(value))]);
const shapeText = (shape) => (shape.length === 1 ? `(${shape[0]})` : shape.join("×"));

function plus(a, b) {
  if (isList(a) && isList(b)) return a.map((x, i) => plus(x, b[i]));
  if (a === null || b === null || typeof a === "object" || typeof b === "object") return a;
  return Number(special(a)) + Number(special(b));
}

// Figures: a value on a wire, as text and for small arrays as cells ---------------------------

function figure(value, shape) {
  if (value === null || value === undefined) return null;
  if (!shape.length) return { text: short(value), cells: [] };
  if (!isList(value)) return { text: `${shapeText(shape)}, mean ${short(value.mean, 3)}`, cells: [] };
  const entries = flat(value);
  if (entries.length === 1) return { text: short(entries[0]), cells: [] };
  if (shape.length === 1 && entries.length <= 3) {
    const text = `[${entries.map((x) => short(x, 3)).join(", ")}]`;
    if (text.length <= MOST_LETTERS) return { text, cells: [] };
  }
  const rows = shape.length === 2 ? value : shape.length === 1 ? [value] : null;
  if (rows && rows.length && rows.length <= MOST_ROWS && rows[0].length && rows[0].length <= MOST_COLUMNS) {
    const finite = entries.map(Math.abs).filter(Number.isFinite);
    const top = Math.max(0, ...finite) || 1;
    const scale = (x) => (Number.isNaN(x) ? 0 : Math.max(-1, Math.min(1, x / top)));
    return { text: shapeText(shape), cells: rows.map((row) => row.map((x) => scale(Number(special(x))))) };
  }
  return { text: shapeText(shape) + (entries.length ? "" : ", empty"), cells: [] };
}

const cellSize = (f) => (Math.max(f.cells.length, f.cells[0].length) <= 6 ? CELL : CELL_SMALL);
const figureWidth = (f) => measure(f.text, 12) + (f.cells.length ? f.cells[0].length * cellSize(f) + 6 : 0);
const figureHeight = (f) => Math.max(15, f.cells.length ? f.cells.length * cellSize(f) + 4 : 0);

const measured = new Map();
let canvas = null;
function measure(text, size, italic = false) {
  const font = italic ? `italic ${size * 1.12}px ${SERIF}` : `${size}px ${SANS}`;
  const key = font + text;
  if (!measured.has(key)) {
    canvas ??= document.createElement("canvas").getContext("2d");
    canvas.font = font;
    measured.set(key, canvas.measureText(text).width + 1);
  }
  return measured.get(key);
}
const measureRuns = (runs, size) => runs.reduce((w, [text, how]) => w + measure(text, size, how === "i"), 0);

// The scene ------------------------------------------------------------------------------------

function ownersOf(data, folded) {
  const owner = data.nodes.map(() => -1);
  data.modules.forEach((module, k) => {
    if (folded.has(k)) for (const i of module.members) if (owner[i] < 0) owner[i] = k;
  });
  return owner;
}

function sortBlocks(data, block) {
  const before = new Map(block.map((key) => [key, new Set()]));
  for (const node of data.nodes) {
    for (const x of node.inputs) if (block[x] !== block[node.id]) before.get(block[node.id]).add(block[x]);
  }
  const rank = (a, b) => (a[0] === b[0] ? Number(a.slice(1)) - Number(b.slice(1)) : a[0] < b[0] ? -1 : 1);
  const order = [], done = new Set();
  for (const start of before.keys()) {
    const stack = [start];
    while (stack.length) {
      const key = stack[stack.length - 1];
      const missing = done.has(key) ? [] : [...before.get(key)].filter((k) => !done.has(k)).sort(rank);
      if (missing.length) { stack.push(missing[0]); continue; }
      stack.pop();
      if (!done.has(key)) { done.add(key); order.push(key); }
    }
  }
  return order;
}

// get(kind, index) gives numbers now: ("value" | "gradient", node) or ("step", step).
function makeScene(data, folded, get) {
  const owner = ownersOf(data, folded);
  const block = owner.map((o, i) => (o >= 0 ? `m${o}` : `q${i}`));
  const order = sortBlocks(data, block);
  const place = new Map(order.map((key, k) => [key, k]));
  const parts = order.map((key) => partOf(data, key, get));
  const wires = new Map();
  for (const node of data.nodes) {
    for (const x of node.inputs) {
      const target = block[node.id];
      if (block[x] === target) continue;
      const key = `${x} ${target}`;
      if (!wires.has(key)) wires.set(key, { quantity: x, target, steps: [], nodes: [] });
      const wire = wires.get(key);
      wire.nodes.push(node.id);
      data.steps.forEach((s, i) => {
        if (s.kind === "backward" && s.node === x && s.by === node.id) wire.steps.push(i);
      });
    }
  }
  const links = [...wires.values()].map((w) => ({
    ...w, key: `${w.quantity}-${w.target}`,
    source: place.get(block[w.quantity]), target: place.get(w.target),
  }));
  const output = data.nodes[data.output];
  parts.push({ key: "end", kind: "end", label: output.name, above: [], below: "", members: [] });
  links.push({
    key: "end", quantity: output.id, source: place.get(block[output.id]), target: parts.length - 1,
    steps: data.steps.flatMap((s, i) => (s.kind === "start" ? [i] : [])), nodes: [],
  });
  for (const link of links) {
    const { shape } = data.nodes[link.quantity];
    link.value = figure(get("value", link.quantity), shape);
    const parts = link.steps.map((i) => get("step", i));
    link.gradient = parts.length ? figure(parts.reduce(plus), shape) : null;
  }
  return { parts, links, block };
}

function partOf(data, key, get) {
  const index = Number(key.slice(1));
  if (key[0] === "m") {
    const module = data.modules[index];
    return { key, kind: "module", label: [[module.name, "n"]], above: [], below: "", members: module.members, module: index };
  }
  const node = data.nodes[index];
  const total = data.steps.findIndex((s) => s.kind === "sum" && s.node === index && s.terms.length > 1);
  const shown = total < 0 ? null : figure(get("step", total), node.shape);
  const below = shown ? `Σ ${shown.text}` : "";
  if (node.kind !== "operation") {
    return { key, kind: node.kind, label: node.name, above: [], below, members: [index] };
  }
  const above = index === data.output ? [] : node.name;
  return { key, kind: "operation", label: node.gate, above, below, members: [index] };
}

function sizeOf(part) {
  const text = part.label.map(([t]) => t).join("");
  part.round = part.kind === "operation" && [...text].length <= 1;
  const padding = { module: 34, end: 6 }[part.kind] ?? 22;
  const least = part.kind === "end" ? 16 : GATE_HEIGHT;
  part.width = part.round ? GATE_HEIGHT : Math.max(least, measureRuns(part.label, 15) + padding);
  const names = Math.max(measureRuns(part.above, 14), measure(part.below, 13) + 4);
  const high = GATE_HEIGHT + (part.above.length || part.below ? 38 : 0);
  return { width: Math.max(part.width, names), height: high, touch: part.width };
}

function roomOf(link) {
  const shown = [link.value, link.gradient].filter(Boolean);
  const wide = Math.max(0, ...shown.map(figureWidth)) + 6;
  return { width: Math.max(wide, 44), height: 2 * Math.max(0, ...shown.map(figureHeight)) + 6 };
}

// Drawing --------------------------------------------------------------------------------------

function textOf(kind, runs, x, y) {
  const spans = runs.map(([text, how]) => make("tspan", { class: how }, text));
  return make("text", { class: kind, x: at(x), y: at(y) }, ...spans);
}

function drawFigure(f, kind, x, y) {
  const group = make("g", { class: `figure ${kind}` });
  let middle = x;
  if (f.cells.length) {
    const size = cellSize(f), wide = f.cells[0].length * size;
    const left = x - figureWidth(f) / 2, top = y - (f.cells.length * size) / 2;
    f.cells.forEach((row, i) => row.forEach((v, j) => group.append(make("rect", {
      class: v > 0 ? "plus" : v < 0 ? "minus" : "zero", x: at(left + j * size), y: at(top + i * size),
      width: size - 1, height: size - 1, "fill-opacity": v ? (0.15 + 0.85 * Math.abs(v)).toFixed(2) : 1,
    }))));
    middle = left + wide + 5 + measure(f.text, 12) / 2;
  }
  group.append(make("text", { class: kind, x: at(middle), y: at(y + 4.2) }, f.text));
  return group;
}

function drawWire(link, route) {
  const d = pathOf(route.points);
  const group = make("g", { class: "wire", "data-wire": link.key });
  group.append(make("path", { class: "reach", d }), make("path", { class: "line", d }));
  const [x, y] = route.label;
  if (link.value) group.append(drawFigure(link.value, "value", x, y - 3 - figureHeight(link.value) / 2));
  if (link.gradient) {
    group.append(drawFigure(link.gradient, "gradient", x, y + 3 + figureHeight(link.gradient) / 2));
  }
  return group;
}

function drawBlock(part, [x, y]) {
  const group = make("g", { class: `block ${part.kind}`, "data-block": part.key });
  const wide = part.width, high = GATE_HEIGHT;
  const box = (kind, dx, dy, rx) => make("rect", {
    class: kind, x: at(x - wide / 2 + dx), y: at(y - high / 2 + dy), width: at(wide), height: high, rx,
  });
  if (part.round) {
    group.append(make("circle", { class: "gate", cx: at(x), cy: at(y), r: high / 2 }));
  } else if (part.kind !== "end") {
    if (part.kind === "module") group.append(box("gate behind", 4, 4, 8));
    group.append(box("gate", 0, 0, part.kind === "operation" ? 19 : 8));
  }
  group.append(textOf("label", part.label, x, y + 5.2));
  if (part.above.length) group.append(textOf("name", part.above, x, y - high / 2 - 6));
  if (part.below) group.append(textOf("total", [[part.below, "n"]], x, y + high / 2 + 15));
  return group;
}

// Frames around open modules, where nothing else stands inside them.
function drawFrames(data, scene, where) {
  const group = make("g", { class: "frames" });
  const index = new Map(scene.parts.map((p, k) => [p.key, k]));
  const depths = data.modules.map(() => 0); // how many modules are nested inside
  for (let k = depths.length - 1; k >= 0; k--) {
    const { parent } = data.modules[k];
    if (parent >= 0) depths[parent] = Math.max(depths[parent], depths[k] + 1);
  }
  data.modules.forEach((module, k) => {
    const inside = new Set(module.members.map((i) => scene.block[i]));
    if (inside.size < 2 || inside.has(`m${k}`)) return;
    const pad = 3 + 4 * depths[k];
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const key of inside) {
      const [x, y] = where.centers[index.get(key)], { width, height } = scene.sizes[index.get(key)];
      left = Math.min(left, x - width / 2 - 5 - pad); right = Math.max(right, x + width / 2 + 5 + pad);
      top = Math.min(top, y - height / 2 - pad); bottom = Math.max(bottom, y + height / 2 + pad);
    }
    const alone = scene.parts.every((p, j) => {
      const [x, y] = where.centers[j], { width, height } = scene.sizes[j];
      return inside.has(p.key) || x + width / 2 < left || x - width / 2 > right
        || y + height / 2 < top || y - height / 2 > bottom;
    });
    if (!alone) return;
    group.append(make("rect", {
      class: "frame", "data-module": k, x: at(left), y: at(top), width: at(right - left), height: at(bottom - top), rx: 12,
    }));
  });
  return group;
}

function draw(data, folded, get) {
  const scene = makeScene(data, folded, get);
  scene.sizes = scene.parts.map(sizeOf);
  scene.rooms = scene.links.map((link) => ({ source: link.source, target: link.target, ...roomOf(link) }));
  const where = layout(scene.sizes, scene.rooms);
  scene.links.forEach((link, k) => { link.element = drawWire(link, where.routes[k]); });
  scene.parts.forEach((part, k) => { part.element = drawBlock(part, where.centers[k]); });
  const wires = make("g", { class: "wires" }, ...scene.links.map((link) => link.element));
  const blocks = make("g", { class: "blocks" }, ...scene.parts.map((part) => part.element));
  return { scene, where, elements: [drawFrames(data, scene, where), wires, blocks] };
}
