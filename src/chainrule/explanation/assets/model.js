// A model file as io/container.py writes it: safetensors, with a document and its SHA-256. The
// browser's own SHA-256 is not there for pages opened from a file.
"use strict";

const HEX = (x) => (x >>> 0).toString(16).padStart(8, "0");

function sha256(bytes) {
  const K = [], H = [];
  for (let n = 2; K.length < 64; n++) { // the first 64 primes' roots, as the standard says
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) { prime = false; break; }
    if (!prime) continue;
    if (H.length < 8) H.push(Math.floor((Math.sqrt(n) % 1) * 2 ** 32) | 0);
    K.push(Math.floor((Math.cbrt(n) % 1) * 2 ** 32) | 0);
  }
  const padded = new Uint8Array(((bytes.length + 8 >> 6) + 1) << 6), view = new DataView(padded.buffer);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(padded.length - 4, bytes.length << 3);
  const w = new Int32Array(64), turn = (x, n) => (x >>> n) | (x << (32 - n));
  for (let block = 0; block < padded.length; block += 64) {
    for (let i = 0; i < 16; i++) w[i] = view.getInt32(block + 4 * i);
    for (let i = 16; i < 64; i++) {
      const a = w[i - 15], b = w[i - 2];
      w[i] = w[i - 16] + w[i - 7] + (turn(a, 7) ^ turn(a, 18) ^ (a >>> 3)) + (turn(b, 17) ^ turn(b, 19) ^ (b >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = H;
    for (let i = 0; i < 64; i++) {
      const s = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      const t = (s + (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + s) | 0, c, b, a, t];
    }
    [a, b, c, d, e, f, g, h].forEach((x, i) => { H[i] = (H[i] + x) | 0; });
  }
  return H.map(HEX).join("");
}

// JSON as Python writes what it has read, to the letter: the sum is over that text.
function pythonJson(value) {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(",")}]`;
  if (value !== null && typeof value === "object") return `{${Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}:${pythonJson(v)}`).join(",")}}`;
  if (typeof value !== "number") return JSON.stringify(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return Object.is(value, -0) ? "0" : String(value);
  const [mantissa, power] = value.toExponential().split("e"), exponent = Number(power);
  if (-5 < exponent && exponent < 16) {
    return value.toString().includes("e") ? value.toFixed(20).replace(/0+$/, "") : value.toString();
  }
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}
// Arrays are {path: {shape, values}}, in double precision.
function modelFile(arrays, document) {
  const encode = (text) => new TextEncoder().encode(text);
  const paths = Object.keys(arrays).sort(), text = pythonJson(document), parts = [encode(text)];
  const header = {};
  let at = 0;
  for (const path of paths) {
    const { shape, values } = arrays[path], bytes = new Uint8Array(8 * values.length), view = new DataView(bytes.buffer);
    values.forEach((x, i) => view.setFloat64(8 * i, x, true));
    const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
    parts.push(encode(`\n${JSON.stringify(path)} float64 ${tuple}\n`), bytes);
    header[path] = { dtype: "F64", shape, data_offsets: [at, at + bytes.length] };
    at += bytes.length;
  }
  const whole = pythonJson({ sha256: sha256(joined(parts)), ...document });
  let head = JSON.stringify({ __metadata__: { chainrule: whole }, ...header });
  head += " ".repeat((8 - (encode(head).length % 8)) % 8);
  const size = new Uint8Array(8);
  new DataView(size.buffer).setUint32(0, encode(head).length, true);
  return joined([size, encode(head), ...parts.filter((_, i) => i > 0 && i % 2 === 0)]);
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}
