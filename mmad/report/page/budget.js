"use strict";
// The page of a time budget: bars with intervals, rasters of events, ethograms, pairs.

const content = JSON.parse(find("content").textContent);
const { observations, behaviours, colours } = content;
const GROUP_COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#888888", "#995500"];
const MEASURES = { rate: ["events a minute", "", 2, 1], share: ["share of time", " %", 1, 100], mean: ["mean duration", " s", 2, 1], latency: ["latency", " s", 2, 1] };
const PAGE = 40;
const state = { measure: "rate", grouping: "all", level: "action", behaviour: null, text: "", most: PAGE };

const options = (pairs) => pairs.map(([value, text]) => make("option", { value }, text));
const tableOf = (list) => list.find((one) => one.name === state.grouping && one.level === state.level);

// A row for each behaviour, with a bar for each group and a line for its interval.
function groupBars(width, { rows, unit, digits, name }) {
  if (!rows.length) return make("p", { class: "note" }, "None.");
  const column = Math.min(Math.ceil(widest(rows.map((row) => row.name))) + 2, Math.floor(0.45 * width));
  const text = (bar) => (isKnown(bar.value) ? `${shown(bar.value, digits)}${unit}` : "–");
  const room = Math.max(40, width - column - 18 - Math.ceil(widest(rows.flatMap((row) => row.bars.map(text)))));
  const top = Math.max(1e-9, ...rows.flatMap((row) => row.bars.flatMap((bar) => [bar.value, bar.high])).filter(isKnown));
  const BAR = 16;
  const wrapped = rows.map((row) => wrap(row.name, column));
  const heights = rows.map((row, i) => Math.max(BAR * row.bars.length, LINE * wrapped[i].length) + 8);
  const svg = svgOf(width, heights.reduce((a, b) => a + b, 4), name);
  const x = (value) => column + 8 + (room * value) / top;
  let y = 2;
  rows.forEach((row, i) => {
    const middle = y + heights[i] / 2;
    wrapped[i].forEach((line, k) => svg.append(label(column, middle - (LINE * wrapped[i].length) / 2 + LINE * (k + 1) - 4, line, "end", "")));
    row.bars.forEach((bar, k) => {
      const at = middle - (BAR * row.bars.length) / 2 + BAR * k;
      const value = isKnown(bar.value) ? bar.value : 0;
      svg.append(tipFor(make("rect", { class: "mark", x: x(0), y: at + 2, width: Math.max(1, x(value) - x(0)), height: BAR - 4, rx: 2, fill: bar.colour }), bar.tip));
      const ends = isKnown(bar.low) && isKnown(bar.high);
      if (ends) for (const [a, b, c, d] of [[bar.low, 0, bar.high, 0], [bar.low, -3, bar.low, 3], [bar.high, -3, bar.high, 3]]) svg.append(make("line", { class: "whisker", x1: x(a), y1: at + BAR / 2 + b, x2: x(c), y2: at + BAR / 2 + d }));
      svg.append(label(x(ends ? Math.max(value, bar.high) : value) + 5, at + BAR / 2 + 4, text(bar), "start", "value"));
    });
    y += heights[i];
  });
  return svg;
}

function drawBars() {
  const table = tableOf(content.tables);
  const [title, unit, digits, scale] = MEASURES[state.measure];
  const [values, lows, highs] = table.measures[state.measure];
  const scaled = (value) => (isKnown(value) ? value * scale : null);
  const used = table.labels.map((_, i) => i).filter((i) => table.count.some((group) => group[i] > 0));
  const rows = used.map((i) => ({
    name: table.labels[i],
    bars: table.groups.map((group, g) => {
      const bar = { value: scaled(values[g][i]), low: scaled(lows[g][i]), high: scaled(highs[g][i]), colour: GROUP_COLOURS[g % GROUP_COLOURS.length] };
      const range = isKnown(bar.low) ? `\n95 %: ${shown(bar.low, digits)} to ${shown(bar.high, digits)}${unit}` : "";
      return { ...bar, tip: `${table.labels[i]}${group ? `, ${group}` : ""}: ${shown(bar.value, digits)}${unit}${range}\n${counted(table.count[g][i], "event")}` };
    }),
  }));
  const key = table.groups.length > 1 ? legendOf(table.groups, GROUP_COLOURS) : null;
  find("bars").replaceChildren(card(title[0].toUpperCase() + title.slice(1), null, (width) => groupBars(width, { rows, unit, digits, name: title }), { legend: key }));
  drawBins();
}

// Rate or share in bins of time, of all behaviours that are most frequent, or of one.
function drawBins() {
  const bins = tableOf(content.bins);
  const what = state.measure === "share" ? "share" : "rate";
  if (!bins || bins.edges.length < 3) { find("bins").replaceChildren(); return; }
  const table = tableOf(content.tables);
  const total = (i) => table.count.reduce((sum, group) => sum + group[i], 0);
  const chosen = bins.labels.map((_, i) => i).filter((i) => total(i) > 0).sort((a, b) => total(b) - total(a)).slice(0, 6);
  const middle = bins.edges.slice(1).map((edge, i) => (edge + bins.edges[i]) / 2);
  const scale = what === "share" ? 100 : 1, unit = what === "share" ? " %" : "";
  find("bins").replaceChildren(
    make("h3", { class: "group-title" }, what === "share" ? "Share of time over time" : "Events a minute over time"),
    make("div", { class: "charts" }, ...chosen.map((i) => {
      const lines = Object.fromEntries(bins.groups.map((group, g) => [group || "all", bins[what][g][i].map((value) => (isKnown(value) ? scale * value : null))]));
      const top = roundTop(Math.max(...Object.values(lines).flat().filter(isKnown)));
      return card(bins.labels[i], null, (width) => lineChart(width, { x: middle, lines, colours: GROUP_COLOURS, top, unit, name: `${bins.labels[i]} over time`, xName: "seconds", from: 0, to: bins.edges.at(-1), digits: 2 }), { legend: bins.groups.length > 1 ? legendOf(bins.groups, GROUP_COLOURS) : null });
    })),
  );
}

const nameOf = (one) => [one.video, ...one.values].filter((text) => text).join(" · ");

// Seconds, minutes or hours below rows of events.
function timeAxis(svg, { left, right, longest, y, from = 0 }) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
  const most = Math.max(2, Math.floor((right - left) / 70));
  const step = steps.find((one) => longest / one <= most) || longest / most;
  for (let time = 0; time <= longest + 1e-9; time += step) {
    const x = left + ((right - left) * time) / longest;
    const text = longest > 120 ? clock(time) : `${time}`;
    svg.prepend(make("line", { class: "grid", x1: x, x2: x, y1: from, y2: y }));
    svg.append(label(Math.min(x, right - textWidth(text) / 2 + 8), y + 15, text));
  }
  svg.append(label((left + right) / 2, y + 30, longest > 120 ? (longest >= 3600 ? "h:min:s" : "min:s") : "seconds"));
}

function mark(one, i, { x, y, height, highlight = true }) {
  const start = one.start[i] / 100, end = one.end[i] / 100, name = behaviours[one.label[i]];
  const isPoint = start === end;
  const width = Math.max(isPoint ? 2 : 1.5, x(end) - x(start));
  const rect = make("rect", { class: "mark", x: isPoint ? x(start) - 1 : x(start), y, width, height, fill: colours[one.label[i]], "fill-opacity": highlight ? 0.9 : 0.15 });
  return tipFor(rect, isPoint ? `${name} at ${shown(start, 2)} s\n${nameOf(one)}` : `${name}, ${shown(start, 2)} to ${shown(end, 2)} s\n${nameOf(one)}`);
}

function rasterChart(width, rows) {
  const names = rows.map(nameOf);
  const left = Math.min(Math.ceil(widest(names)) + 10, Math.floor(0.34 * width)), right = width - 12;
  const ROW = 17, height = ROW * rows.length;
  const svg = svgOf(width, height + 36, "events over time, a row for each observation");
  const x = (seconds) => left + ((right - left) * seconds) / content.longest;
  timeAxis(svg, { left, right, longest: content.longest, y: height });
  rows.forEach((one, row) => {
    const y = ROW * row;
    const short = names[row].length && textWidth(names[row]) > left - 8 ? cut(names[row], left - 8) : names[row];
    svg.append(tipFor(label(left - 6, y + 13, short, "end", ""), names[row]));
    svg.append(make("rect", { class: "observed", x: left, y: y + 2, width: x(one.seconds) - left, height: ROW - 4 }));
    one.label.forEach((number, i) => {
      if (state.behaviour === null || number === state.behaviour) svg.append(mark(one, i, { x, y: y + 3, height: ROW - 6 }));
    });
  });
  return svg;
}

// The text with an ellipsis, so that it is at most `width` pixels wide.
function cut(text, width) {
  let short = text;
  while (short.length > 1 && textWidth(`${short}…`) > width) short = short.slice(0, -1);
  return `${short}…`;
}

function drawRaster() {
  const fitting = observations.filter((one) => nameOf(one).toLowerCase().includes(state.text));
  const rows = fitting.slice(0, state.most);
  const rest = content.left_out ? ` ${content.left_out} more are in the tables, not on this page.` : "";
  find("how-many").textContent = `${rows.length} of ${counted(observations.length, "observation")}, a row each, sorted by condition; pale: observed time.${rest}`;
  find("more").hidden = rows.length === fitting.length;
  const key = state.behaviour === null && content.parts.length ? legendOf(content.parts.map((part) => part[0]), content.parts.map((part) => part[1])) : null;
  const title = state.behaviour === null ? "All behaviours" : behaviours[state.behaviour];
  find("raster").replaceChildren(rows.length ? card(title, null, (width) => rasterChart(width, rows), { legend: key }) : make("p", { class: "note" }, "None fits."));
}

function ethogramChart(width, one) {
  const used = [...new Set(one.label)].sort((a, b) => a - b);
  if (!used.length) return make("p", { class: "note" }, "Nothing was coded.");
  const names = used.map((i) => behaviours[i]);
  const left = Math.min(Math.ceil(widest(names)) + 10, Math.floor(0.4 * width)), right = width - 12;
  const ROW = 20, height = ROW * used.length;
  const svg = svgOf(width, height + 36, `behaviours of ${nameOf(one)} over time`);
  const x = (seconds) => left + ((right - left) * seconds) / one.seconds;
  timeAxis(svg, { left, right, longest: one.seconds, y: height });
  used.forEach((number, row) => {
    const y = ROW * row;
    const short = textWidth(names[row]) > left - 8 ? cut(names[row], left - 8) : names[row];
    svg.append(tipFor(label(left - 6, y + 14, short, "end", ""), names[row]));
    svg.append(make("rect", { class: "observed", x: left, y: y + 2, width: right - left, height: ROW - 4 }));
    one.label.forEach((other, i) => { if (other === number) svg.append(mark(one, i, { x, y: y + 3, height: ROW - 6 })); });
  });
  return svg;
}

function drawEthogram(number) {
  const one = observations[number];
  find("ethogram").replaceChildren(card(nameOf(one), `${counted(one.label.length, "event")} in ${clock(one.seconds, 1)}`, (width) => ethogramChart(width, one)));
}

function fillTable(table, head, rows) {
  const cell = (tag, text, i) => make(tag, { class: i < 2 ? "words" : null, scope: tag === "th" ? "col" : null }, text);
  const body = rows.length ? rows.map((row) => make("tr", {}, ...row.map((text, i) => cell("td", text, i)))) : [make("tr", {}, make("td", { class: "words", colspan: head.length }, "None."))];
  table.replaceChildren(make("thead", {}, make("tr", {}, ...head.map((text, i) => cell("th", text, i)))), make("tbody", {}, ...body));
}

function drawPairs() {
  const together = content.together[state.level] || [], follows = content.follows[state.level] || [];
  fillTable(find("together"), ["behaviour", "other", "s", "expected (s)", "Jaccard"], together.map(([a, b, seconds, expected, jaccard]) => [a, b, shown(seconds, 1), shown(expected, 1), shown(jaccard, 2)]));
  fillTable(find("follows"), ["behaviour", "then", "times", "expected", "residual", "followed (%)"], follows.map(([a, b, number, expected, residual, share]) => [a, b, String(number), shown(expected, 1), shown(residual, 1), percent(share)]));
}

function showBars() {
  drawBars();
  drawPairs();
}

connectTheme();
drawHead(content.facts, []);
find("notices").append(...content.notices.map((text) => make("p", { class: "note" }, `Note: ${text}.`)));
find("about-follows").textContent = `The most frequent transitions within ${content.lag} s after a start.`;
find("measure").append(...options(Object.entries(MEASURES).map(([key, [title]]) => [key, title])));
find("grouping").append(...options([...new Set(content.tables.map((one) => one.name))].map((name) => [name, name])));
const levels = [...new Set(content.tables.map((one) => one.level))];
find("level").append(...options(levels.map((name) => [name, { action: "actions", body: "body parts" }[name] || name])));
find("level-frame").hidden = levels.length < 2;
for (const key of ["measure", "grouping", "level"]) find(key).addEventListener("change", (event) => { state[key] = event.target.value; showBars(); });
find("behaviour").append(...options([["", "all"], ...content.used.map((i) => [i, behaviours[i]])]));
find("behaviour").addEventListener("change", (event) => { state.behaviour = event.target.value === "" ? null : Number(event.target.value); drawRaster(); });
find("find").addEventListener("input", (event) => { state.text = event.target.value.trim().toLowerCase(); state.most = PAGE; drawRaster(); });
find("more").addEventListener("click", () => { state.most += PAGE; drawRaster(); });
find("video").append(...options(observations.map((one, i) => [i, nameOf(one)])));
find("video").addEventListener("change", (event) => drawEthogram(Number(event.target.value)));
showCorrected(content.corrected);
showBars();
drawRaster();
drawEthogram(Math.max(0, observations.findIndex((one) => one.label.length)));
find("video").value = String(Math.max(0, observations.findIndex((one) => one.label.length)));
