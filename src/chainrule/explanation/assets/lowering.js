// The scalar operations in JavaScript, to recompute an explanation when an input is moved.
// Where a program uses an operation that is not in the table, the page offers no sliders.
"use strict";

const LN2 = Math.LN2;

function power(x, p) {
  if (x === 1 || (x === -1 && !Number.isFinite(p) && !Number.isNaN(p))) return 1;
  if (p === 2) return x * x;
  if (p === -1) return 1 / x;
  if (p === 0.5) return Math.sqrt(x);
  return Math.pow(x, p);
}

function remainder(x, z) {
  const r = x % z;
  return r !== 0 && (r < 0) !== (z < 0) ? r + z : r;
}

function floorDivide(x, z) {
  if (z === 0) return x / z;
  let quotient = (x - (x % z)) / z;
  if (x % z !== 0 && (x % z < 0) !== (z < 0)) quotient -= 1;
  const whole = Math.floor(quotient);
  return quotient - whole > 0.5 ? whole + 1 : whole;
}

function roundEven(x) {
  const low = Math.floor(x), part = x - low;
  if (part !== 0.5) return part < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

const logistic = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
const bell = (x) => logistic(x) * logistic(-x);
const logLogistic = (x) => (x > 0 ? -Math.log1p(Math.exp(-x)) : x - Math.log1p(Math.exp(x)));

function logAddExp(x, z) {
  if (x === z) return x + LN2;
  const d = x - z;
  return d > 0 ? x + Math.log1p(Math.exp(-d)) : z + Math.log1p(Math.exp(d));
}

function logit(x) {
  if (x < 0.3 || x > 0.65) return Math.log(x / (1 - x));
  const s = 2 * (x - 0.5);
  return Math.log1p(s) - Math.log1p(-s);
}

// erf by its series of positive terms, erfc far out by the continued fraction (Lentz).
function erfSeries(x) {
  let term = x, total = x;
  for (let k = 1; k < 200 && Math.abs(term) > 1e-18 * Math.abs(total); k++) {
    term *= (2 * x * x) / (2 * k + 1);
    total += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * total;
}

function erfcFar(x) {
  let f = 0;
  for (let k = 160; k > 0; k--) f = k / 2 / (x + f);
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * (x + f));
}

const erfc = (x) => (Number.isNaN(x) ? x : x < -2 ? 2 - erfcFar(-x) : x < 2 ? 1 - erfSeries(x)
  : x > 30 ? 0 : erfcFar(x));
const erf = (x) => (Math.abs(x) < 2 ? erfSeries(x) : 1 - erfc(x));

const first = (x) => x;
const cast = (x, { dtype }) => (dtype === "bool" ? x !== 0 : dtype.startsWith("int") ? Math.trunc(x) : Number(x));

const TABLE = {
  add: (x, z) => x + z, subtract: (x, z) => x - z, multiply: (x, z) => x * z,
  divide: (x, z) => x / z, negative: (x) => -x, reciprocal: (x) => 1 / x, square: (x) => x * x,
  abs: Math.abs, remainder, fmod: (x, z) => x % z, floor_divide: floorDivide,
  sign: Math.sign, floor: Math.floor, ceil: Math.ceil, trunc: Math.trunc, round: roundEven,
  power, power_constant: (x, { exponent }) => power(x, exponent),
  sqrt: Math.sqrt, cbrt: Math.cbrt, hypot: (x, z) => Math.hypot(x, z),
  exp: Math.exp, exp2: (x) => Math.pow(2, x), exp10: (x) => Math.pow(10, x), expm1: Math.expm1,
  log: Math.log, log2: Math.log2, log10: Math.log10, log1p: Math.log1p,
  sin: Math.sin, cos: Math.cos, tan: Math.tan, arcsin: Math.asin, arccos: Math.acos,
  arctan: Math.atan, arctan2: Math.atan2, sinh: Math.sinh, cosh: Math.cosh, tanh: Math.tanh,
  arcsinh: Math.asinh, arccosh: Math.acosh, arctanh: Math.atanh,
  logistic, log_logistic: logLogistic, logit, logaddexp: logAddExp,
  logistic_slope: (y, x) => bell(x), tanh_slope: (y, x) => 4 * bell(2 * x),
  one_minus_square: (x) => (1 - x) * (1 + x), quotient_or_zero: (x, z) => (z === 0 ? 0 : x / z),
  kinked: (x, z) => x * z, value_of: first,
  root: (x, { degree }) => (degree === 2 ? Math.sqrt(x) : Math.pow(x, 1 / degree)),
  entr: (x) => (x > 0 ? -x * Math.log(x) : x === 0 ? -0 : x < 0 ? -Infinity : NaN),
  xlogy: (x, z) => (x === 0 && !Number.isNaN(z) ? 0 : x * Math.log(z)),
  xlog1py: (x, z) => (x === 0 && !Number.isNaN(z) ? 0 : x * Math.log1p(z)),
  erf, erfc, ndtr: (x) => 0.5 * erfc(-x / Math.SQRT2),
  maximum: (x, z) => Math.max(x, z), minimum: (x, z) => Math.min(x, z),
  equal: (x, z) => x === z, not_equal: (x, z) => x !== z, less: (x, z) => x < z,
  less_equal: (x, z) => x <= z, greater: (x, z) => x > z, greater_equal: (x, z) => x >= z,
  logical_and: (x, z) => Boolean(x) && Boolean(z), logical_or: (x, z) => Boolean(x) || Boolean(z),
  logical_xor: (x, z) => Boolean(x) !== Boolean(z), logical_not: (x) => !x,
  bitwise_and: (x, z) => x && z, bitwise_or: (x, z) => x || z, invert: (x) => !x,
  likely: first, isfinite: Number.isFinite, isnan: Number.isNaN,
  isinf: (x) => x === Infinity || x === -Infinity, signbit: (x) => x < 0 || Object.is(x, -0),
  select: (condition, x, z) => (condition ? x : z),
  broadcast: first, reshape: first, transpose: first, identity: first, stop_gradient: first,
  reduce_sum: first, reduce_max: first, reduce_min: first, reduce_prod: first, cast,
  contract: (x, z) => x * z,
};

const special = (x) => (x === "inf" ? Infinity : x === "-inf" ? -Infinity : x === "nan" ? NaN : x);

// Whether the table has every operation of the program, on float64 and bool only.
function isTotal(program) {
  return program.slots.every((slot) => {
    if (slot.operation === "input" || slot.operation === "constant") return true;
    const types = slot.attributes && slot.attributes.dtype;
    return Object.hasOwn(TABLE, slot.operation)
      && (types === undefined || types === "float64" || types === "bool");
  });
}

// All slots of the program; inputs is a Map from the id of an input to its number.
function evaluate(program, inputs) {
  const values = [];
  for (const slot of program.slots) {
    if (slot.operation === "input") values.push(inputs.get(slot.node));
    else if (slot.operation === "constant") values.push(special(slot.value));
    else {
      const args = slot.inputs.map((i) => values[i]);
      values.push(TABLE[slot.operation](...args, slot.attributes || {}));
    }
  }
  return values;
}
