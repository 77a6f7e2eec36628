"use strict";
// Charts as SVG. Text goes in as text nodes only, so no name can become markup; every label is
// measured before it is placed, so none is cut.

const SVG = "http://www.w3.org/2000/svg";
const SVG_NAMES = ["svg", "g", "rect", "line", "text", "path", "circle", "title"];
const FONT = 12, LINE = 15, BLUE = "#4477aa";

function make(name, attributes, ...children) {
  const node = SVG_NAMES.includes(name) ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const isKnown = (value) => value !== null && value !== undefined && Number.isFinite(value);
// Halves away from zero, as rounded() of the figures and tables.
const shown = (value, digits = 1) => (isKnown(value) ? value.toFixed(digits) : "–");
const percent = (value, digits = 1) => shown(isKnown(value) ? 100 * value : null, digits);
const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

const ruler = document.createElement("canvas").getContext("2d");
const widths = new Map();
function textWidth(text, weight = 400) {
  const key = `${weight} ${text}`;
  if (!widths.has(key)) {
    ruler.font = `${weight} ${FONT}px system-ui, sans-serif`;
    widths.set(key, ruler.measureText(text).width);
  }
  return widths.get(key);
}
const widest = (texts, weight) => Math.max(0, ...texts.map((text) => textWidth(text, weight)));

// Lines of at most `width` pixels: broken at spaces, inside words only where one is too long.
function wrap(text, width) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const joined = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (textWidth(joined) <= width) { lines[lines.length - 1] = joined; continue; }
    if (lines.at(-1)) lines.push("");
    for (const letter of word) {
      if (lines.at(-1) && textWidth(lines.at(-1) + letter) > width) lines.push("");
      lines[lines.length - 1] += letter;
    }
  }
  return lines;
}

// Multiples of 1, 2 or 5 times a power of ten: about `most` of them from low to high.
function stepOf(range, most, isWhole) {
  const rough = Math.max(range / most, isWhole ? 1 : 1e-9);
  const power = 10 ** Math.floor(Math.log10(rough) + 1e-9);
  return [1, 2, 5, 10].map((k) => k * power).find((step) => step >= rough * 0.999);
}
function ticksOf(low, high, most = 5, isWhole = false) {
  const step = stepOf(high - low, most, isWhole);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-6); k <= high / step + 1e-6; k += 1) ticks.push(Number((k * step).toPrecision(12)));
  return ticks;
}
function roundTop(highest, { isWhole = false, most = 5 } = {}) {
  if (!(highest > 0)) return 1;
  const step = stepOf(highest, most, isWhole);
  return Number((step * Math.ceil(highest / step - 1e-6)).toPrecision(12));
}

// The tooltip: it follows the pointer over a mark, and anything else that moves the page hides it.
const tips = new WeakMap();
function tipFor(node, text) {
  tips.set(node, text);
  node.setAttribute("aria-label", text);
  return node;
}
function hideTip() { document.getElementById("tip").style.visibility = "hidden"; }
document.addEventListener("pointermove", (event) => {
  const text = tips.get(event.target);
  if (text === undefined) { hideTip(); return; }
  const tip = document.getElementById("tip");
  tip.textContent = text;
  const { width, height } = tip.getBoundingClientRect();
  const isLow = event.clientY + 18 + height > innerHeight;
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 6))}px`;
  tip.style.top = `${Math.max(4, isLow ? event.clientY - height - 10 : event.clientY + 18)}px`;
  tip.style.visibility = "visible";
});
for (const kind of ["keydown", "pointerdown", "wheel", "scroll", "pointerleave"]) document.addEventListener(kind, hideTip, { capture: true, passive: true });
addEventListener("resize", hideTip);
addEventListener("blur", hideTip);

function svgOf(width, height, label) {
  return make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });
}
const label = (x, y, text, anchor = "middle", kind = "soft") => make("text", { class: kind, x, y, "text-anchor": anchor }, text);

// Axes of a chart: round ticks at the left, names below; returns the svg and the scale.
function frame(width, { height = 210, top, unit = "", xName = null, name, lines = 1, isWhole = false }) {
  const ticks = ticksOf(0, top, 5, isWhole);
  const texts = ticks.map((value) => `${value}${unit}`);
  const left = Math.ceil(widest(texts)) + 8, right = width - 10, upper = 18;
  const base = height - 6 - LINE * lines - (xName ? LINE : 0);
  const svg = svgOf(width, height, name);
  const y = (value) => base - ((base - upper) * value) / top;
  ticks.forEach((value, i) => svg.append(
    make("line", { class: value ? "grid" : "axis", x1: left, x2: right, y1: y(value), y2: y(value) }),
    make("text", { class: "soft tick", x: left - 6, y: y(value) + 4, "text-anchor": "end" }, texts[i]),
  ));
  if (xName) svg.append(label((left + right) / 2, height - 5, xName));
  return { svg, y, left, right, base, upper };
}

function xTicks(f, low, high, place, most) {
  ticksOf(low, high, most).forEach((value) => {
    const text = String(value), half = textWidth(text) / 2;
    f.svg.append(make("line", { class: "axis", x1: place(value), x2: place(value), y1: f.base, y2: f.base + 4 }));
    f.svg.append(make("text", { class: "soft tick", x: Math.min(place(value), f.right + 8 - half), y: f.base + 16, "text-anchor": "middle" }, text));
  });
}

// Columns with their value above; names are lists of lines; the dashed line is the value of all.
function barChart(width, { names, values, unit = "", name, dashed, counts }) {
  const highest = Math.max(0, dashed || 0, ...values.filter(isKnown));
  const top = unit.includes("%") ? Math.min(100, roundTop(1.02 * highest)) : roundTop(1.02 * highest);
  const f = frame(width, { top: Math.max(top, 1), unit, name, lines: 2 });
  const step = (f.right - f.left) / names.length;
  const line = isKnown(dashed) ? f.y(dashed) : null;
  if (line !== null) f.svg.append(make("line", { class: "dashed", x1: f.left, x2: f.right, y1: line, y2: line }));
  values.forEach((value, i) => {
    const centre = f.left + step * (i + 0.5);
    if (isKnown(value)) {
      const rect = make("rect", { class: "mark", x: centre - step * 0.34, width: step * 0.68, y: f.y(value), height: Math.max(1, f.base - f.y(value)), rx: 2, fill: BLUE });
      const of = counts ? ` (${counted(counts[i], "annotation")})` : "";
      f.svg.append(tipFor(rect, `${names[i].join(", ")}: ${shown(value)}${unit}${of}`));
      // Above the bar, and above the dashed line where that would run through the number.
      let y = f.y(value) - 4;
      if (line !== null && line > y - FONT - 1 && line < y + 4) y = line - 4;
      f.svg.append(label(centre, y, shown(value), "middle", "value"));
    } else f.svg.append(label(centre, f.base - 4, "none", "middle", "soft"));
    names[i].forEach((text, k) => f.svg.append(label(centre, f.base + 15 + LINE * k, text, "middle", k ? "soft" : "")));
  });
  return f.svg;
}

function stackedChart(width, { names, rows, parts, colours, name, xName }) {
  const f = frame(width, { top: 100, unit: " %", name, xName, height: 230 });
  const step = (f.right - f.left) / names.length;
  rows.forEach((row, i) => {
    let low = 0;
    row.forEach((value, k) => {
      if (!isKnown(value)) return;
      const rect = make("rect", { class: "mark", x: f.left + step * (i + 0.07), width: step * 0.86, y: f.y(low + value), height: Math.max(0, f.y(low) - f.y(low + value)), fill: colours[k] });
      f.svg.append(tipFor(rect, `${names[i]}: ${shown(value)} % ${parts[k]}`));
      low += value;
    });
    f.svg.append(label(f.left + step * (i + 0.5), f.base + 15, names[i]));
  });
  return f.svg;
}

function lineChart(width, { x, lines, colours, top, unit = "", name, diagonal, xName, from, to, digits = 1 }) {
  const f = frame(width, { top, unit, name, xName });
  const place = (value) => f.left + 6 + ((f.right - f.left - 12) * (value - from)) / Math.max(to - from, 1e-9);
  if (diagonal) f.svg.append(make("line", { class: "dashed", x1: place(0), y1: f.y(0), x2: place(1), y2: f.y(1) }));
  Object.entries(lines).forEach(([what, values], k) => {
    const points = values.map((value, i) => [x[i], value]).filter(([a, b]) => isKnown(a) && isKnown(b));
    f.svg.append(make("path", { d: points.map(([a, b], i) => `${i ? "L" : "M"}${place(a)} ${f.y(b)}`).join(""), fill: "none", stroke: colours[k], "stroke-width": 2.5 }));
    points.forEach(([a, b]) => f.svg.append(tipFor(make("circle", { class: "mark", cx: place(a), cy: f.y(b), r: points.length > 30 ? 3 : 4.5, fill: colours[k] }), `${what}: ${shown(b, digits)}${unit}\n${xName}: ${shown(a, 2)}`)));
  });
  xTicks(f, from, to, place, 5);
  return f.svg;
}

function histogram(width, { edges, counts, name, xName }) {
  const f = frame(width, { top: roundTop(Math.max(1, ...counts), { isWhole: true }), isWhole: true, name, xName });
  const low = edges[0], high = edges.at(-1);
  const place = (value) => f.left + ((f.right - f.left) * (value - low)) / (high - low);
  counts.forEach((count, i) => {
    const rect = make("rect", { class: "mark", x: place(edges[i]) + 0.4, width: Math.max(0.5, place(edges[i + 1]) - place(edges[i]) - 0.8), y: f.y(count), height: f.base - f.y(count), fill: BLUE });
    f.svg.append(tipFor(rect, `${shown(edges[i], 2)} to ${shown(edges[i + 1], 2)} s: ${count}`));
  });
  if (low < 0) f.svg.append(make("line", { class: "dashed", x1: place(0), x2: place(0), y1: f.upper, y2: f.base }));
  xTicks(f, low, high, place, 6);
  return f.svg;
}

// Bars to the right of their names; long names take several lines. A row may be pressed.
function rowChart(width, { rows, name, unit = "", digits = 0 }) {
  if (!rows.length) return make("p", { class: "note" }, "None.");
  const value = (row) => `${shown(row.value, digits)}${unit}`;
  const column = Math.min(Math.ceil(widest(rows.map((row) => row.name))) + 2, Math.floor(0.6 * width));
  const room = width - column - 14 - Math.ceil(widest(rows.map(value)));
  const highest = Math.max(1e-9, ...rows.map((row) => row.value || 0));
  const wrapped = rows.map((row) => wrap(row.name, column));
  const svg = svgOf(width, wrapped.reduce((sum, lines) => sum + LINE * lines.length + 7, 6), name);
  let y = 3;
  rows.forEach((row, i) => {
    const height = LINE * wrapped[i].length + 7;
    const bar = Math.max(1, (room * (row.value || 0)) / highest);
    wrapped[i].forEach((text, k) => svg.append(label(column, y + LINE * (k + 1) - 1, text, "end", "")));
    svg.append(tipFor(make("rect", { class: "mark", x: column + 7, y: y + height / 2 - 8, width: bar, height: 14, rx: 2, fill: row.colour || BLUE }), `${row.name}: ${value(row)}${row.press ? "\nclick to see its videos" : ""}`));
    svg.append(label(column + 11 + bar, y + height / 2 + 3, value(row), "start", "value"));
    if (row.press) svg.append(tipFor(make("rect", { class: "press", x: 0, y, width, height, tabindex: 0, role: "button", onclick: row.press, onkeydown: (event) => { if (event.key === "Enter") row.press(); } }), `${row.name}: ${value(row)}\nclick to see its videos`));
    y += height;
  });
  return svg;
}
