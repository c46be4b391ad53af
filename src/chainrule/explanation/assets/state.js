// What the page knows: the data, the numbers as they are now, and where the reader stands.
// The page builds elements and sets text, never markup, so no string of the data is ever parsed.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
data.nodes.forEach((node, i) => {
  node.id = i;
  node.kind ??= "operation";
  node.inputs ??= [];
  node.shape ??= [];
  node.dtype ??= "float64";
  node.name ??= [[node.text, "i"]];
  node.value = resolve(node.value);
  node.gradient = resolve(node.gradient);
  node.slot ??= null;
  node.gslot ??= null;
  node.teaches = data.words[node.teaches];
});
// A step of the forward pass shows its node's value and formula; the upstream gradient of a
// backward step is the gradient of the node that it comes from.
for (const step of data.steps) {
  step.kind ??= "backward";
  const node = data.nodes[step.node], own = ["input", "forward"].includes(step.kind);
  step.value = own ? node.value : resolve(step.value);
  step.local = resolve(step.local);
  step.upstream = step.kind === "backward" ? data.nodes[step.via].gradient : null;
  // The wire: what a gate passes goes by its prediction.
  const reads = (i) => data.nodes[i].inputs.includes(step.node);
  step.by = step.kind !== "backward" || reads(step.via) ? step.via : data.nodes[step.via].inputs.find(reads) ?? step.via;
  step.name ??= own ? node.text : data.whole + node.text;
  step.formula ??= own ? node.formula : "";
  step.terms ??= [];
  step.slots ??= own ? [node.slot, null, null] : null;
  step.why = step.why === undefined ? "" : data.words[step.why];
  step.note = step.note === undefined ? "" : data.words[step.note];
}
/** A local derivative has the shape of the result, and of the input where the result is a number. */
function localShape(step) {
  const via = data.nodes[step.via].shape;
  return via.length ? via : data.nodes[step.node].shape;
}

function resolve(value) {
  if (value === undefined) return null;
  return value !== null && typeof value === "object" && "a" in value ? data.arrays[value.a] : value;
}

// Numbers as they are now: the program's slots once an input has moved, else what was recorded.
const inputs = new Map(data.nodes.filter((n) => n.kind !== "operation").map((n) => [n.id, special(n.value)]));
let slots = null;

function now(step, field) {
  const slot = slots && step.slots ? step.slots[["value", "local", "upstream"].indexOf(field)] : null;
  return slot === null ? step[field] : slots[slot];
}
function get(kind, i) {
  if (kind === "step") return now(data.steps[i], "value");
  const node = data.nodes[i], slot = kind === "value" ? node.slot : node.gslot;
  return slots && slot !== null ? slots[slot] : node[kind];
}
const shown = (value, shape, digits) => (shape.length ? arrayText(value, shape) : short(value, digits));

function arrayText(value, shape) {
  if (value === null) return "";
  if (!isList(value)) return `${shapeText(shape)}, mean ${short(value.mean)}`;
  const entries = flat(value);
  if (entries.length === 1) return short(entries[0]);
  return entries.length <= 4 && (shape.length === 1 || shape[0] === 1) ? `[${entries.map((x) => short(x)).join(", ")}]` : shapeText(shape);
}

// State ---------------------------------------------------------------------------------------

const LAST = data.steps.length - 1;
let position = null; // null: everything is shown
let folded = new Set(data.folded);
let picture = null;
let timer = null;
const forwardOf = new Map(data.steps.flatMap((s, i) => (["input", "forward"].includes(s.kind) ? [[s.node, i]] : [])));
const gradientOf = new Map(data.steps.flatMap((s, i) => (["backward", "sum", "start"].includes(s.kind) ? [[s.node, i]] : [])));
