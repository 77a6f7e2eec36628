"use strict";
// Figures as SVG out of numbers. Text goes in as text nodes only, so no name can become markup.

const SVG = "http://www.w3.org/2000/svg";

function make(name, attributes, ...children) {
  const isSvg = ["svg", "g", "rect", "line", "text", "path", "circle", "title"].includes(name);
  const node = isSvg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const isKnown = (value) => value !== null && value !== undefined && Number.isFinite(value);
const shown = (value, digits = 1) => (isKnown(value) ? value.toFixed(digits) : "–");
const percent = (value, digits = 1) => (isKnown(value) ? (100 * value).toFixed(digits) : "–");

function tipFor(node, text) {
  const tip = document.getElementById("tip");
  const show = (event) => {
    tip.textContent = text;
    tip.style.visibility = "visible";
    const box = tip.getBoundingClientRect();
    const x = Math.min(event.clientX + 12, innerWidth - box.width - 6);
    const y = event.clientY + 16 + box.height > innerHeight ? event.clientY - box.height - 8 : event.clientY + 16;
    tip.style.left = `${Math.max(4, x)}px`;
    tip.style.top = `${Math.max(4, y)}px`;
  };
  node.addEventListener("pointermove", show);
  node.addEventListener("pointerleave", () => { tip.style.visibility = "hidden"; });
  node.setAttribute("aria-label", text);
  return node;
}

function niceTop(highest) {
  if (!(highest > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(highest));
  return [1, 2, 2.5, 5, 10].map((k) => k * power).find((top) => top >= highest);
}

// A frame with a y axis from low to top; returns the svg and the two scales.
function frame({ width = 420, height = 220, left = 38, bottom = 34, low = 0, top, unit = "" }) {
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const upper = 10;
  const y = (value) => upper + (height - bottom - upper) * (1 - (value - low) / (top - low));
  for (let i = 0; i <= 4; i += 1) {
    const value = low + ((top - low) * i) / 4;
    svg.append(make("line", { class: "grid", x1: left, x2: width - 6, y1: y(value), y2: y(value) }));
    svg.append(make("text", { class: "soft", x: left - 4, y: y(value) + 4, "text-anchor": "end" }, `${Number(value.toFixed(2))}${unit}`));
  }
  return { svg, y, left, right: width - 6, base: height - bottom, width, height };
}

function barChart({ names, values, colours, top, unit, label, tips, dashed }) {
  const highest = Math.max(0, ...values.filter(isKnown), dashed || 0);
  const room = niceTop(1.08 * highest);
  const f = frame({ top: top || (unit === "%" && highest <= 100 ? Math.min(room, 100) : room), unit });
  const step = (f.right - f.left) / names.length;
  values.forEach((value, i) => {
    const centre = f.left + step * (i + 0.5);
    if (isKnown(value)) {
      const zero = f.y(Math.max(0, 0));
      const rect = make("rect", { class: "mark", x: centre - step * 0.36, width: step * 0.72, y: Math.min(f.y(value), zero), height: Math.max(0.5, Math.abs(zero - f.y(value))), fill: colours[i % colours.length] });
      f.svg.append(tipFor(rect, tips ? tips[i] : `${names[i]}: ${shown(value, 2)}${unit || ""}`));
      f.svg.append(make("text", { x: centre, y: Math.min(f.y(value), zero) - 3, "text-anchor": "middle" }, shown(value)));
    }
    names[i].split("\n").forEach((line, k) => f.svg.append(make("text", { class: "soft", x: centre, y: f.base + 13 + 12 * k, "text-anchor": "middle" }, line)));
  });
  if (isKnown(dashed)) f.svg.append(make("line", { x1: f.left, x2: f.right, y1: f.y(dashed), y2: f.y(dashed), "stroke-dasharray": "5 3", stroke: "currentColor" }));
  f.svg.setAttribute("aria-label", label);
  return f.svg;
}

function stackedChart({ names, rows, parts, colours, label }) {
  const f = frame({ top: 100, unit: "%" });
  const step = (f.right - f.left) / names.length;
  rows.forEach((row, i) => {
    let low = 0;
    row.forEach((value, k) => {
      if (!isKnown(value)) return;
      const rect = make("rect", { class: "mark", x: f.left + step * i + step * 0.08, width: step * 0.84, y: f.y(low + value), height: Math.max(0, f.y(low) - f.y(low + value)), fill: colours[k] });
      f.svg.append(tipFor(rect, `${names[i]}: ${shown(value)} % ${parts[k]}`));
      low += value;
    });
    f.svg.append(make("text", { class: "soft", x: f.left + step * (i + 0.5), y: f.base + 13, "text-anchor": "middle" }, names[i]));
  });
  f.svg.setAttribute("aria-label", label);
  return f.svg;
}

function lineChart({ x, lines, colours, top, unit, label, diagonal, xName }) {
  const f = frame({ top, unit });
  const low = Math.min(...x.flat()), high = Math.max(...x.flat());
  const first = diagonal ? 0 : low, last = diagonal ? 1 : high;
  const place = (value) => f.left + 8 + ((f.right - f.left - 16) * (value - first)) / Math.max(last - first, 1e-9);
  if (diagonal) f.svg.append(make("line", { stroke: "currentColor", x1: place(0), y1: f.y(0), x2: place(1), y2: f.y(top), "stroke-dasharray": "5 3" }));
  Object.entries(lines).forEach(([name, values], k) => {
    const points = values.map((value, i) => [x[i], value]).filter(([a, b]) => isKnown(a) && isKnown(b));
    f.svg.append(make("path", { d: points.map(([a, b], i) => `${i ? "L" : "M"}${place(a)} ${f.y(b)}`).join(""), fill: "none", stroke: colours[k], "stroke-width": 2 }));
    points.forEach(([a, b]) => f.svg.append(tipFor(make("circle", { class: "mark", cx: place(a), cy: f.y(b), r: 4, fill: colours[k] }), `${name}: ${shown(b, 2)}${unit || ""} at ${shown(a, 2)}`)));
  });
  const ticks = diagonal ? [0, 0.25, 0.5, 0.75, 1] : x;
  ticks.forEach((value) => f.svg.append(make("text", { class: "soft", x: place(value), y: f.base + 13, "text-anchor": "middle" }, String(Number(value.toFixed(2))))));
  f.svg.append(make("text", { class: "soft", x: (f.left + f.right) / 2, y: f.height - 5, "text-anchor": "middle" }, xName));
  f.svg.setAttribute("aria-label", label);
  return f.svg;
}

function histogram({ edges, counts, colour, label, xName }) {
  const f = frame({ top: niceTop(Math.max(1, ...counts)) });
  const low = edges[0], high = edges[edges.length - 1];
  const place = (value) => f.left + ((f.right - f.left) * (value - low)) / (high - low);
  counts.forEach((count, i) => {
    const rect = make("rect", { class: "mark", x: place(edges[i]) + 0.3, width: Math.max(0.5, place(edges[i + 1]) - place(edges[i]) - 0.6), y: f.y(count), height: f.base - f.y(count), fill: colour });
    f.svg.append(tipFor(rect, `${shown(edges[i], 2)} to ${shown(edges[i + 1], 2)} s: ${count}`));
  });
  [0, 0.25, 0.5, 0.75, 1].forEach((share) => {
    const value = low + share * (high - low);
    f.svg.append(make("text", { class: "soft", x: place(value), y: f.base + 13, "text-anchor": share === 1 ? "end" : "middle" }, shown(value)));
  });
  f.svg.append(make("text", { class: "soft", x: (f.left + f.right) / 2, y: f.height - 5, "text-anchor": "middle" }, xName));
  f.svg.setAttribute("aria-label", label);
  return f.svg;
}

function rowChart({ rows, colours, label }) {
  const height = 8 + 17 * Math.max(rows.length, 1);
  const svg = make("svg", { viewBox: `0 0 420 ${height}`, role: "img", "aria-label": label });
  const highest = Math.max(1, ...rows.map((row) => row.value));
  const most = 43;
  rows.forEach((row, i) => {
    const width = (120 * row.value) / highest;
    svg.append(make("text", { x: 262, y: 16 + 17 * i, "text-anchor": "end" }, row.name.length > most ? `${row.name.slice(0, most - 1)}…` : row.name));
    svg.append(tipFor(make("rect", { class: "mark", x: 266, y: 6 + 17 * i, width, height: 13, fill: colours[row.colour] }), `${row.name}: ${row.value}`));
    svg.append(make("text", { x: 269 + width, y: 16 + 17 * i }, String(row.value)));
  });
  if (!rows.length) svg.append(make("text", { x: 10, y: 16 }, "none"));
  return svg;
}
