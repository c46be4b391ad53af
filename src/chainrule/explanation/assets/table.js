// The table of a long computation, built here to keep the file small; page_table.py writes the
// others, and says how lines are ordered.
"use strict";

function tableLines(data) {
  const passed = new Map(), totals = new Map(), inputs = [], lone = [], rest = [], start = [];
  const branches = new Set();
  data.steps.forEach((step, i) => {
    if (step.kind === "backward") {
      if (!passed.has(step.via)) passed.set(step.via, []);
      passed.get(step.via).push(i);
    } else if (step.kind === "sum" && step.terms.length) {
      totals.set(step.terms[step.terms.length - 1], i);
      step.terms.forEach((t) => branches.add(t));
    } else if (step.kind === "sum") lone.push([null, i, false]);
    else if (step.kind === "input") inputs.push([i, null, false]);
    else if (step.kind === "start") start.push([null, i, false]);
  });
  const position = (i) => data.steps[i].position ?? 0;
  data.steps.forEach((step, i) => {
    if (step.kind !== "forward") return;
    let own = i;
    for (const b of (passed.get(step.node) ?? []).sort((p, q) => position(p) - position(q))) {
      if (totals.has(b)) rest.push([null, totals.get(b), false]);
      rest.push([own, b, branches.has(b)]);
      own = null;
    }
    if (own !== null) rest.push([own, null, false]);
  });
  return [...inputs, ...lone, ...rest, ...start];
}

function buildTable(data, body) {
  const el = (tag, kind, ...children) => {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    element.append(...children);
    return element;
  };
  const cut = (text) => (text.length <= 60 ? text : `${text.slice(0, 59)}…`);
  const spelled = (id, text) => {
    const span = el("span", "spelled", cut(text));
    span.id = id;
    return span;
  };
  const amount = (value, shape) => (shape.length
    ? el("details", "array", el("summary", "", shapeText(shape)))
    : el("span", "num", short(value, data.digits)));
  const wide = (cell, span) => { cell.colSpan = span; return cell; };
  for (const [f, b, branch] of tableLines(data)) {
    const row = el("tr");
    if (f === null) row.append(wide(el("td", "none"), 3));
    else {
      const step = data.steps[f], given = step.kind === "input";
      row.dataset.f = f;
      const name = el("th", "name f", el("button", "jump", spelled(`n${f}`, step.name)));
      name.scope = "row";
      row.append(name, given ? el("td", "given f", el("span", "", "given"))
        : el("td", "formula f", spelled(`f${f}`, step.formula)),
      el("td", "value f", amount(step.value, data.nodes[step.node].shape)));
    }
    if (b === null) row.append(wide(el("td", "none"), 4));
    else {
      const step = data.steps[b], { shape } = data.nodes[step.node];
      row.dataset.b = b;
      const button = el("button", "jump", spelled(`n${b}`, step.name));
      if (branch) button.append(el("span", "via", `from ${cut(data.nodes[step.via].text)}`));
      row.append(el("td", "slope b", button));
      if (step.kind !== "backward") row.append(wide(el("td", "why b", el("span", "", step.kind === "sum" ? step.why : "")), 2));
      else if (step.local === null) row.append(wide(el("td", "local b", spelled(`l${b}`, step.formula)), 2));
      else {
        const via = data.nodes[step.via].shape;
        const local = el("td", "local b", spelled(`l${b}`, step.localText));
        if (!/^−?[\d.]+$/.test(step.localText)) local.append(amount(step.local, localShape(step)));
        row.append(local, el("td", "up b", amount(step.upstream, via)));
      }
      row.append(el("td", "gradient b", amount(step.value, shape)));
    }
    body.append(row);
  }
}
