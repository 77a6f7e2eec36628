"use strict";
// The page of a recogniser: confusion, classes, features, and clips with their probabilities.

const content = JSON.parse(document.getElementById("content").textContent);
const COLOURS = content.colours;
const find = (id) => document.getElementById(id);
const state = { level: "action", clip: 0, sort: { column: "clips", falling: true } };

function drawSummary() {
  const level = content.levels[state.level];
  const tiles = [["top-1", level.top1], ["top-5", level.top5], ["F1 macro", level.f1_macro], ["F1 micro", level.f1_micro], ["F1_mean", content.f1_mean]];
  find("tiles").replaceChildren(...tiles.map(([name, value]) => make("div", { class: "tile" }, make("b", {}, `${percent(value, 2)} %`), name)));
  find("facts").textContent = content.facts;
}

// Rows are the truth; the darker, the larger the share of the row.
function drawConfusion() {
  const { confusion, labels } = content.levels[state.level];
  const shown = labels.map((_, i) => i).filter((i) => confusion[i].some((n) => n) || confusion.some((row) => row[i]));
  const left = 195, top = 6, cell = Math.max(9, Math.min(34, 620 / Math.max(shown.length, 1)));
  const size = cell * shown.length;
  const svg = make("svg", { viewBox: `0 0 ${left + size + 8} ${top + size + 190}`, role: "img", "aria-label": "confusion matrix" });
  shown.forEach((i, row) => {
    const total = confusion[i].reduce((a, b) => a + b, 0);
    svg.append(make("text", { x: left - 4, y: top + cell * (row + 0.5) + 3, "text-anchor": "end", style: `font-size:${Math.min(11, cell)}px` }, labels[i]));
    svg.append(make("text", { transform: `translate(${left + cell * (row + 0.5) + 3} ${top + size + 6}) rotate(90)`, style: `font-size:${Math.min(11, cell)}px` }, labels[i]));
    shown.forEach((j, column) => {
      const count = confusion[i][j];
      const share = total ? count / total : 0;
      const rect = make("rect", { class: "mark", x: left + cell * column, y: top + cell * row, width: cell - 0.5, height: cell - 0.5, fill: i === j ? "#228833" : "#aa3377", "fill-opacity": count ? 0.12 + 0.88 * share : 0.04 });
      svg.append(tipFor(rect, `annotated ${labels[i]}\nguessed ${labels[j]}\n${count} of ${total} (${percent(share)} %)`));
    });
  });
  find("confusion").replaceChildren(svg, make("p", { class: "note" }, "Rows: annotated; columns: guessed. Green: right, purple: wrong; stronger with the share of the row."));
}

const COLUMNS = [["name", "class", null], ["clips", "clips", 0], ["guessed", "guessed", 0], ["recall", "recall (%)", 1], ["precision", "precision (%)", 1], ["f1", "F1 (%)", 1], ["taken", "most often taken for", null]];

function drawClasses() {
  drawTable(find("classes"), COLUMNS, content.levels[state.level].classes, state.sort);
}

function drawFeatures() {
  const { features } = content;
  find("about-features").textContent = features ? features.how : "Not there: mmad predict RUN --details writes features and probabilities over time.";
  find("features").hidden = !features;
  if (!features) return;
  const svg = make("svg", { viewBox: "0 0 800 520", role: "img", "aria-label": "features of clips" });
  features.x.forEach((x, i) => {
    const clip = content.clips[i];
    const part = content.parents[clip.truth];
    const mark = make("circle", { class: "mark", cx: 15 + 770 * x, cy: 15 + 490 * features.y[i], r: 4, fill: COLOURS[part % COLOURS.length], "fill-opacity": 0.75, onclick: () => choose(i) });
    svg.append(tipFor(mark, `${clip.id}\n${content.levels.action.labels[clip.truth]}\nguessed ${content.levels.action.labels[clip.guesses[0]]}`));
  });
  const legend = make("div", { class: "legend" }, ...content.levels.body.labels.map((name, i) => make("span", { style: `--swatch:${COLOURS[i % COLOURS.length]}` }, name)));
  find("features").replaceChildren(legend, svg);
}

// Wrong and sure first.
function order() {
  const wanted = find("find").value.trim().toLowerCase();
  const labels = content.levels.action.labels;
  const isWrong = (clip) => clip.guesses[0] !== clip.truth;
  return content.clips.map((_, i) => i).filter((i) => {
    const clip = content.clips[i];
    return (!find("only-wrong").checked || isWrong(clip)) && (clip.id.toLowerCase().includes(wanted) || labels[clip.truth].toLowerCase().includes(wanted));
  }).sort((a, b) => Number(isWrong(content.clips[b])) - Number(isWrong(content.clips[a])) || content.clips[b].scores[0] - content.clips[a].scores[0]);
}

function fillChoice() {
  const rows = order();
  const labels = content.levels.action.labels;
  find("clip-choice").replaceChildren(...rows.map((i) => make("option", { value: i, selected: i === state.clip }, `${content.clips[i].id}: ${labels[content.clips[i].truth]}`)));
  if (rows.length && !rows.includes(state.clip)) choose(rows[0]);
}

function step(by) {
  const rows = order();
  if (rows.length) choose(rows[Math.min(Math.max(rows.indexOf(state.clip) + by, 0), rows.length - 1)]);
}

function choose(number) {
  state.clip = number;
  find("clip-choice").value = String(number);
  const clip = content.clips[number];
  const labels = content.levels.action.labels;
  const player = find("player");
  player.pause();
  player.hidden = true;
  player.removeAttribute("src");
  player.load();
  if (clip.file !== null) player.src = clip.file;
  const bars = rowChart({ rows: clip.guesses.map((guess, k) => ({ name: labels[guess], value: Number((100 * clip.scores[k]).toFixed(1)), colour: guess === clip.truth ? 0 : 1 })), colours: ["#228833", "#aa3377"], label: "best guesses" });
  const cards = [make("div", { class: "chart" }, make("h3", {}, `${clip.id}: ${labels[clip.truth]}`), bars, make("p", { class: "note" }, "Best guesses in %; green: what is annotated."))];
  if (clip.curves) {
    const lines = {};
    clip.curves.labels.forEach((label, k) => { lines[labels[label]] = clip.curves.values[k].map((value) => value / 10); });
    const chart = lineChart({ x: clip.curves.values[0].map((_, t) => t), lines, colours: clip.curves.labels.map((label, k) => (label === clip.truth ? "#228833" : COLOURS[(k + 1) % COLOURS.length])), top: 100, unit: "%", label: "probabilities over time", xName: "pair of frames" });
    const legend = make("div", { class: "legend" }, ...clip.curves.labels.map((label, k) => make("span", { style: `--swatch:${label === clip.truth ? "#228833" : COLOURS[(k + 1) % COLOURS.length]}` }, labels[label])));
    cards.push(make("div", { class: "chart" }, make("h3", {}, "Probability over time"), legend, chart, make("p", { class: "note" }, "Of the frame head, in the middle sample of the clip.")));
  }
  find("clip").replaceChildren(...cards);
}

function drawAll() {
  find("levels").querySelectorAll("button").forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === state.level)));
  drawSummary();
  drawConfusion();
  drawClasses();
}

Object.keys(content.levels).forEach((name) => find("levels").append(make("button", { type: "button", onclick: () => { state.level = name; drawAll(); } }, name)));
connectTheme(find("theme"));
find("player").addEventListener("loadedmetadata", () => { find("player").hidden = false; });
find("clip-choice").addEventListener("change", (event) => choose(Number(event.target.value)));
find("find").addEventListener("input", fillChoice);
find("only-wrong").addEventListener("change", fillChoice);
find("next").addEventListener("click", () => step(1));
find("previous").addEventListener("click", () => step(-1));
document.addEventListener("keydown", (event) => {
  if (["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "n") step(1);
  if (event.key === "p") step(-1);
});
drawAll();
drawFeatures();
state.clip = order()[0] ?? 0;
fillChoice();
if (content.clips.length) choose(state.clip);
