// The page of a network on one example: what was computed is shown, nothing is computed here.
"use strict";

const data = JSON.parse($("data").textContent);
const view = neurons($("sheet"), $("panel"), $("saying"));
const numbers = (list) => list.map((x) => (typeof x === "number" ? x : Number(special(x))));

for (const layer of data.pass.layers) for (const [key, list] of Object.entries(layer)) if (list) layer[key] = numbers(list);
for (const key of ["x", "prediction"]) data.pass[key] = numbers(data.pass[key]);
data.pass.loss = Number(special(data.pass.loss));
view.update(data.net, data.pass);
walking(view);

// A module of the table lights up with the layer whose turn it is.
function light() {
  const depth = data.net.sizes.length - 1, p = view.position;
  const now = p === null || p === 0 ? [] : p <= depth ? ["f", p] : p === depth + 1 ? ["f", 0] : ["b", 2 * depth + 2 - p];
  for (const row of document.querySelectorAll(".modules tr")) row.classList.toggle("now", row.dataset.pass === now[0] && Number(row.dataset.layer) === now[1]);
}
new MutationObserver(light).observe($("saying"), { childList: true });
document.documentElement.classList.add("ready");
globalThis.chainrule = Object.freeze({ data, view });
