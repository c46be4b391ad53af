// See browsing.seen_faults.
const found = [], wide = document.documentElement.clientWidth, pen = Object.assign(
  document.createElement("canvas"), {width: 1, height: 1}).getContext("2d", {willReadFrequently: true});
const rgb = (colors) => {  // each over those before it
  pen.clearRect(0, 0, 1, 1);
  for (const c of colors) { pen.fillStyle = c; pen.fillRect(0, 0, 1, 1); }
  return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const light = (color) => color.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92
  : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const up = function* (e) { for (; e; e = e.parentElement) yield e; };
const style = getComputedStyle, name = (e) => `${e.tagName} ${e.getAttribute("class") ?? ""} #${e.id}`;
if (document.documentElement.scrollWidth > wide) found.push("the page scrolls sideways");
for (const e of document.querySelectorAll("body *")) {
  const box = e.getBoundingClientRect();
  if (!box.width || e.closest(".unseen, [hidden]") || style(e).clipPath !== "none") continue;
  const inner = [...up(e.parentElement)].some((p) => style(p).overflowX !== "visible");
  if (box.right > wide + 1 && !inner) found.push(`sticks out: ${name(e)}`);
  const { overflowX, textOverflow } = style(e), whole = e.scrollWidth <= e.clientWidth + 1;
  if (!whole && (e.matches("#panel .wide") || (/hidden|clip/.test(overflowX) && textOverflow !== "ellipsis"))) found.push(`cut off: ${name(e)}`);
}
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const e = texts.currentNode.parentElement, box = e.getBoundingClientRect();
  if (!texts.currentNode.data.trim() || !box.width || e.closest("script, style, title, noscript, .unseen, option")) continue;
  const above = [...up(e)], drawn = e.closest("svg"), gate = e.closest(".block, .neuron")?.querySelector(".gate");
  if (above.some((p) => style(p).opacity < 1 || style(p).visibility === "hidden")) continue;
  const grounds = above.map((p) => style(p).backgroundColor).reverse();
  if (gate) grounds.push(style(gate).fill);
  const [a, b] = [light(rgb(["white", ...grounds, drawn ? style(e).fill : style(e).color])), light(rgb(["white", ...grounds]))];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (contrast < 4.5) found.push(`faint, ${contrast.toFixed(2)}: ${name(e)} ${texts.currentNode.data.trim().slice(0, 20)}`);
}
for (const e of document.querySelectorAll("button, input, select, summary, canvas, [role=button], [role=img], [tabindex='0']"))
  if (!(e.closest("label, [hidden]") || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent.trim()))
    found.push(`no name: ${name(e)}`);
return [...new Set(found)];
