// What every page uses: numbers as text, elements of HTML and of SVG. Elements are built and text is
// set, never markup, so no string of the data is ever parsed.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
function short(value, digits = 4) {
  if (typeof value === "boolean") return String(value);
  const x = Number(special(value));
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (x === 0) return "0";
  const [mantissa, power] = x.toExponential(digits - 1).split("e");
  const exponent = Number(power);
  let shown;
  if (-5 < exponent && exponent < Math.max(digits, 6)) {
    shown = Number(`${mantissa}e${power}`).toFixed(Math.max(0, digits - 1 - exponent));
    if (shown.includes(".")) shown = shown.replace(/\.?0+$/, "");
  } else {
    shown = `${mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa}e${exponent}`;
  }
  return shown.replaceAll("-", "−");
}

const $ = (id) => document.getElementById(id);
const el = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};
const still = matchMedia("(prefers-reduced-motion: reduce)");

function make(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
const at = (v) => String(Math.round(v * 10) / 10);

$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
