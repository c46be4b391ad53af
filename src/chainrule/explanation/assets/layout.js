// Layered layout, left to right: picture_layout.py in JavaScript. A test holds both to the same
// coordinates, so change them together; the reasons are told there.
"use strict";

const MARGIN = 16, COLUMN_GAP = 18, ROW_GAP = 12, SWEEPS = 10, SETTLES = 11, PORT = 10, LIGHT = 0.002;

const sum = (xs) => { let s = 0; for (const x of xs) s += x; return s; };

function ranks(count, wires) {
  const rank = new Array(count).fill(0);
  for (const w of [...wires].sort((a, b) => a.target - b.target)) {
    rank[w.target] = Math.max(rank[w.target], rank[w.source] + 1);
  }
  const fed = new Set(wires.map((w) => w.target));
  const nearest = new Map();
  for (const w of wires) {
    if (!fed.has(w.source)) {
      nearest.set(w.source, Math.min(nearest.get(w.source) ?? rank[w.target], rank[w.target]));
    }
  }
  for (const [source, near] of nearest) rank[source] = near - 1;
  return rank;
}

function makeItems(blocks, wires) {
  const rank = ranks(blocks.length, wires);
  const fed = new Set(wires.map((w) => w.target));
  const it = {
    count: blocks.length,
    pull: blocks.map((_, i) => (fed.has(i) ? 1 : LIGHT)),
    column: rank.map((r) => 2 * r),
    width: blocks.map((b) => b.width),
    height: blocks.map((b) => b.height),
    left: blocks.map(() => []),
    right: blocks.map(() => []),
    paths: [],
  };
  for (const w of wires) {
    const last = it.column[w.target] - 1;
    const path = [w.source];
    for (let c = it.column[w.source] + 1; c <= last; c++) {
      const labelled = c === last;
      path.push(it.column.length);
      it.column.push(c);
      it.width.push(labelled ? w.width : 0);
      it.height.push(labelled ? w.height : 6);
      it.pull.push(fed.has(w.source) ? 2 : LIGHT);
      it.left.push([]);
      it.right.push([]);
    }
    path.push(w.target);
    for (let i = 0; i + 1 < path.length; i++) {
      it.right[path[i]].push(path[i + 1]);
      it.left[path[i + 1]].push(path[i]);
    }
    it.paths.push(path);
  }
  it.columns = it.column.reduce((a, b) => Math.max(a, b), -1) + 1;
  return it;
}

function firstOrder(it) {
  const order = Array.from({ length: it.columns }, () => []);
  const seen = new Array(it.column.length).fill(false);
  for (let start = it.count - 1; start >= 0; start--) {
    const stack = [start];
    while (stack.length) {
      const item = stack.pop();
      if (seen[item]) continue;
      seen[item] = true;
      order[it.column[item]].push(item);
      for (let i = it.left[item].length - 1; i >= 0; i--) stack.push(it.left[item][i]);
    }
  }
  return order;
}

function places(order, it) {
  const place = new Array(it.column.length).fill(0);
  for (const column of order) column.forEach((item, i) => { place[item] = i; });
  return place;
}

function crossings(order, it) {
  const place = places(order, it);
  let total = 0;
  for (const column of order.slice(0, -1)) {
    const before = [];
    for (const item of column) {
      const own = it.right[item].map((x) => place[x]);
      for (const end of own) for (const b of before) total += b > end;
      before.push(...own);
    }
  }
  return total;
}

function ordered(it) {
  let order = firstOrder(it), best = order, fewest = crossings(order, it);
  const place = places(order, it);
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep++) {
    const forward = sweep % 2 === 0;
    const sides = forward ? it.left : it.right;
    order = order.map((column) => [...column]);
    for (let k = 0; k < it.columns; k++) {
      const c = forward ? k : it.columns - 1 - k;
      const keys = new Map(order[c].map((item) => [item, sides[item].length
        ? sum(sides[item].map((x) => place[x])) / sides[item].length : place[item]]));
      order[c].sort((a, b) => keys.get(a) - keys.get(b));
      order[c].forEach((item, i) => { place[item] = i; });
    }
    const found = crossings(order, it);
    if (found < fewest) { best = order; fewest = found; }
  }
  return best;
}

function settle(column, wanted, weight, it) {
  const offsets = [];
  let offset = 0;
  column.forEach((item, i) => {
    if (i) offset += (it.height[column[i - 1]] + it.height[item]) / 2 + ROW_GAP;
    offsets.push(offset);
  });
  const pools = [];
  for (let i = 0; i < column.length; i++) {
    pools.push([wanted[i] - offsets[i], weight[i], 1]);
    while (pools.length > 1 && pools[pools.length - 2][0] > pools[pools.length - 1][0]) {
      const [mean, w, n] = pools.pop();
      const before = pools[pools.length - 1];
      before[0] = (before[0] * before[1] + mean * w) / (before[1] + w);
      before[1] += w;
      before[2] += n;
    }
  }
  const placed = pools.flatMap(([mean, , n]) => new Array(n).fill(mean));
  return placed.map((p, i) => p + offsets[i]);
}

function mean(y, near, it) {
  let total = 0, weight = 0;
  for (const i of near) { total += y[i] * it.pull[i]; weight += it.pull[i]; }
  return total / weight;
}

function rows(order, it) {
  const y = new Array(it.column.length).fill(0);
  for (const column of order) {
    let total = ROW_GAP * (column.length - 1);
    for (const item of column) total += it.height[item];
    let top = -total / 2;
    for (const item of column) {
      y[item] = top + it.height[item] / 2;
      top += it.height[item] + ROW_GAP;
    }
  }
  for (let turn = 0; turn < SETTLES; turn++) {
    const forward = turn % 2 === 1, both = SETTLES - 3 <= turn && turn < SETTLES - 1;
    for (let k = 0; k < it.columns; k++) {
      const c = forward ? k : it.columns - 1 - k;
      const wanted = [], weight = [];
      for (const item of order[c]) {
        let near = forward ? it.left[item] : it.right[item];
        if (both || !near.length) near = [...it.left[item], ...it.right[item]];
        wanted.push(near.length ? mean(y, near, it) : y[item]);
        weight.push(it.pull[item]);
      }
      const at = settle(order[c], wanted, weight, it);
      order[c].forEach((item, i) => { y[item] = at[i]; });
    }
  }
  let top = Infinity;
  y.forEach((at, i) => { top = Math.min(top, at - it.height[i] / 2); });
  if (!y.length) top = 0;
  return y.map((at) => at - top + MARGIN);
}

function columnMiddles(it, y) {
  const widths = new Array(it.columns).fill(0), climb = new Array(it.columns).fill(0);
  it.column.forEach((column, item) => {
    widths[column] = Math.max(widths[column], it.width[item]);
    for (const near of it.left[item]) {
      climb[column] = Math.max(climb[column], Math.abs(y[item] - y[near]));
    }
  });
  const x = [];
  let at = MARGIN;
  widths.forEach((width, column) => {
    if (column) at += COLUMN_GAP + Math.min(36, 0.22 * climb[column]);
    x.push(at + width / 2);
    at += width;
  });
  return [x, widths];
}

// blocks: [{width, height, touch}] in topological order; wires: [{source, target, width, height}].
function layout(blocks, wires) {
  const it = makeItems(blocks, wires);
  const order = ordered(it);
  const y = rows(order, it);
  const [middle, widths] = columnMiddles(it, y);
  const x = it.column.map((c) => middle[c]);
  const routes = it.paths.map((path) => {
    const first = path[0], last = path[path.length - 1], before = path[path.length - 2];
    const port = Math.max(-PORT, Math.min(PORT, 0.3 * (y[before] - y[last])));
    const points = [[x[first] + blocks[first].touch / 2, y[first]]];
    for (const item of path) {
      const half = widths[it.column[item]] / 2, level = y[item] + (item === last ? port : 0);
      if (item !== first) points.push([x[item] - half, level]);
      if (item !== last) points.push([x[item] + half, level]);
    }
    points.push([x[last] - blocks[last].touch / 2, y[last] + port]);
    return { points, label: [x[before], y[before]] };
  });
  let right = 0, bottom = 0;
  x.forEach((at, i) => {
    right = Math.max(right, at + it.width[i] / 2);
    bottom = Math.max(bottom, y[i] + it.height[i] / 2);
  });
  const centers = blocks.map((_, i) => [x[i], y[i]]);
  return { width: right + MARGIN, height: bottom + MARGIN, centers, routes };
}

function pathOf(points) {
  const n = (v) => String(Math.round(v * 10) / 10);
  let d = `M${n(points[0][0])} ${n(points[0][1])}`;
  for (let i = 1; i < points.length; i++) {
    const [x1, y1] = points[i - 1], [x2, y2] = points[i];
    if (Math.abs(y2 - y1) < 0.05) {
      d += `L${n(x2)} ${n(y2)}`;
    } else {
      const m = (x1 + x2) / 2;
      d += `C${n(m)} ${n(y1)} ${n(m)} ${n(y2)} ${n(x2)} ${n(y2)}`;
    }
  }
  return d;
}
