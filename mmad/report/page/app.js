"use strict";
// Puts the page together, and keeps level, video and threshold.

const content = JSON.parse(document.getElementById("content").textContent);
const COLOURS = [...content.colours, "#8a8f98"];
const find = (id) => document.getElementById(id);
const state = { level: Object.keys(content.levels)[0], video: 0, threshold: content.threshold, sort: { column: "annotations", falling: true }, drawn: null, chosen: -1 };

function section(title, note, ...nodes) {
  return make("div", { class: "chart" }, make("h3", {}, title), ...nodes, note ? make("p", { class: "note" }, note) : null);
}

function legend(names) {
  const box = make("div", { class: "legend" });
  names.forEach((name, i) => box.append(make("span", { style: `--swatch:${COLOURS[i]}` }, name)));
  return box;
}

function drawSummary() {
  const level = content.levels[state.level];
  const tiles = [["mAP, mean of tIoU", percent(level.average, 2)], ...level.tiles.map(([name, value]) => [name, percent(value, 2)]), ["missed", percent(level.missed, 1)]];
  find("tiles").replaceChildren(...tiles.map(([name, value]) => make("div", { class: "tile" }, make("b", {}, `${value} %`), name)));
  find("facts").textContent = content.facts;
}

function drawCharts() {
  const level = content.levels[state.level];
  const scaled = (values) => values.map((value) => (isKnown(value) ? 100 * value : null));
  const buckets = (name, key, total) => barChart({ names: content.buckets[name].map((text) => text.replace(" (", "\n(")), values: scaled(level[key][name]), colours: ["#4477aa"], unit: "%", label: `${key} by ${name}`, dashed: 100 * total });
  const charts = [
    section("mAP by tIoU threshold", null, lineChart({ x: content.tiou, lines: { mAP: scaled(level.map) }, colours: ["#4477aa"], top: niceTop(100 * Math.max(...level.map, 0.01)), unit: "%", label: "mAP by tIoU", xName: "tIoU" })),
    section("What the best detections are", "G: as many detections of a class as it has annotations.", legend(content.outcomes), stackedChart({ names: level.false_positives.map((_, i) => `${i + 1}G`), rows: level.false_positives.map(scaled), parts: content.outcomes, colours: COLOURS, label: "types of detections by rank" })),
    section("What fixing each error would gain", `Points of normalised mAP, which is ${percent(level.base, 2)} %.`, barChart({ names: content.outcomes.slice(1).map((name) => name.replace(" ", "\n")), values: scaled(level.gain), colours: COLOURS.slice(1), label: "gain by type of error" })),
    ...Object.keys(content.buckets).map((name) => section(`Missed, by ${name}`, "Dashed: of all annotations.", buckets(name, "false_negatives", level.missed))),
    ...Object.keys(content.buckets).map((name) => section(`Normalised mAP, by ${name}`, "Dashed: of all annotations.", buckets(name, "sensitivity", level.sensitivity_base))),
    section("Taken for one another", "Annotated → detected; purple inside a body part, blue across.", rowChart({ rows: level.confusions.map(([a, d, value, same]) => ({ name: `${level.labels[a]} → ${level.labels[d]}`, value, colour: same ? 2 : 1 })), colours: COLOURS, label: "confused pairs" })),
    section("Missed, by what an annotation overlaps", null, barChart({ names: content.co_occurrences.map((name) => name.replace("with ", "with\n")), values: scaled(level.co_occurrence), colours: ["#4477aa"], unit: "%", label: "missed by co-occurrence" })),
    section("Starts of true positives", `Mean ${shown(level.boundaries.start.mean, 2)} s; above 0 is late.`, histogram({ ...level.boundaries.start, colour: "#4477aa", label: "errors of starts", xName: "detected minus annotated (s)" })),
    section("Ends of true positives", `Mean ${shown(level.boundaries.end.mean, 2)} s; above 0 is late.`, histogram({ ...level.boundaries.end, colour: "#4477aa", label: "errors of ends", xName: "detected minus annotated (s)" })),
    section("Do scores mean what they say?", `Expected calibration error ${shown(level.calibration.error, 3)}.`, lineChart({ x: level.calibration.score, lines: { precision: level.calibration.precision }, colours: ["#4477aa"], top: 1, diagonal: true, label: "precision by score", xName: "mean score" })),
    section("Annotations of each class", null, rowChart({ rows: level.classes.filter((row) => row.annotations).sort((a, b) => b.annotations - a.annotations).slice(0, 20).map((row) => ({ name: row.name, value: row.annotations, colour: 1 })), colours: COLOURS, label: "class ratio" })),
    section("Length of annotations", `Mean ${shown(content.lengths.mean, 2)} s.`, histogram({ ...content.lengths, colour: "#4477aa", label: "lengths", xName: "seconds (the last bar: and longer)" })),
  ];
  find("charts").replaceChildren(...charts);
}

const COLUMNS = [["name", "class", null], ["annotations", "annotations", 0], ["detections", "detections", 0], ["ap", "AP, mean (%)", 2], ...content.shown_tiou.map((tiou, i) => [`ap${i}`, `AP @${tiou} (%)`, 2]), ["missed", "missed (%)", 1]];

function drawClasses() {
  drawTable(find("classes"), COLUMNS, content.levels[state.level].classes, state.sort);
}

// Videos with the most errors first, at this level; only those that the search leaves.
function orderOfVideos() {
  const wanted = find("find").value.trim().toLowerCase();
  const errors = content.levels[state.level].errors;
  return content.videos.map((_, i) => i).filter((i) => content.videos[i].id.toLowerCase().includes(wanted)).sort((a, b) => errors[b] - errors[a] || a - b);
}

function fillChoice() {
  const order = orderOfVideos();
  const errors = content.levels[state.level].errors;
  find("video-choice").replaceChildren(...order.map((i) => make("option", { value: i, selected: i === state.video }, `${content.videos[i].id} (${errors[i]} errors)`)));
  if (order.length && !order.includes(state.video)) chooseVideo(order[0]);
}

function step(by) {
  const order = orderOfVideos();
  if (!order.length) return;
  const place = order.indexOf(state.video);
  chooseVideo(order[Math.min(Math.max(place + by, 0), order.length - 1)]);
}

function chooseVideo(number) {
  state.video = number;
  state.chosen = -1;
  find("video-choice").value = String(number);
  const player = find("player");
  const { file, id } = content.videos[number];
  player.pause();
  player.hidden = true;
  find("no-video").hidden = file !== null;
  player.removeAttribute("src");
  player.load();
  if (file !== null) player.src = file;
  history.replaceState(null, "", `#video=${encodeURIComponent(id)}`);
  drawVideo();
}

function drawVideo() {
  const width = Math.max(240, find("timeline").clientWidth - 12);
  state.drawn = drawTimeline(content, state.level, state.video, state.threshold, { width, colours: COLOURS, onChoose: (bar) => choose(state.drawn.bars.indexOf(bar), true) });
  find("timeline").replaceChildren(state.drawn.svg);
  find("threshold-shown").textContent = state.threshold.toFixed(2);
  const video = content.videos[state.video];
  const count = state.drawn.bars.filter((bar) => bar.isTruth).length;
  find("about").textContent = `${video.id}: ${shown(video.duration, 1)} s, ${count} annotations, ${state.drawn.bars.length - count} detections shown. Outlined: annotated (dashed: missed); filled: detected.`;
}

function choose(place, seek) {
  const { bars } = state.drawn;
  if (!bars.length) return;
  state.chosen = Math.min(Math.max(place, 0), bars.length - 1);
  bars.forEach((bar, i) => bar.node.classList.toggle("chosen", i === state.chosen));
  find("about").textContent = describe(content, state.level, bars[state.chosen]).replaceAll("\n", " · ");
  const player = find("player");
  if (seek && !player.hidden) player.currentTime = bars[state.chosen].start;
}

function followVideo() {
  const player = find("player");
  if (state.drawn && !player.hidden) {
    const at = state.drawn.x(player.currentTime);
    state.drawn.playhead.setAttribute("x1", at);
    state.drawn.playhead.setAttribute("x2", at);
    state.drawn.playhead.setAttribute("visibility", "visible");
  }
}

function everyFrame() {
  followVideo();
  if (!find("player").paused) requestAnimationFrame(everyFrame);
}

function connect() {
  Object.keys(content.levels).forEach((name) => find("levels").append(make("button", { type: "button", "aria-pressed": String(name === state.level), onclick: () => { state.level = name; drawAll(); } }, name)));
  find("legend").replaceChildren(...legend(content.outcomes.map((name, i) => `${content.letters[i]} ${name}`)).childNodes);
  find("threshold").max = content.highest;
  find("threshold").step = content.highest / 100;
  find("threshold").value = state.threshold;
  find("threshold").addEventListener("input", (event) => { state.threshold = Number(event.target.value); drawVideo(); });
  find("video-choice").addEventListener("change", (event) => chooseVideo(Number(event.target.value)));
  find("find").addEventListener("input", fillChoice);
  find("better").addEventListener("click", () => step(1));
  find("worse").addEventListener("click", () => step(-1));
  connectTheme(find("theme"));
  const player = find("player");
  player.addEventListener("loadedmetadata", () => { player.hidden = false; find("no-video").hidden = true; followVideo(); });
  player.addEventListener("error", () => { if (!player.hasAttribute("src")) return; player.hidden = true; find("no-video").hidden = false; });
  player.addEventListener("play", everyFrame);
  player.addEventListener("timeupdate", followVideo);
  find("file").addEventListener("change", (event) => { if (event.target.files.length) player.src = URL.createObjectURL(event.target.files[0]); });
  find("timeline").addEventListener("keydown", (event) => {
    const to = { ArrowRight: state.chosen + 1, ArrowLeft: state.chosen - 1, Home: 0, End: Infinity }[event.key];
    if (to !== undefined) { event.preventDefault(); choose(to, true); }
    else if (event.key === "Enter" && !player.hidden) { player.play(); }
  });
  find("timeline").addEventListener("click", (event) => {
    if (!state.drawn || player.hidden || event.target.classList.contains("mark")) return;
    player.currentTime = state.drawn.secondsAt(event.clientX - state.drawn.svg.getBoundingClientRect().left);
  });
  document.addEventListener("keydown", (event) => {
    if (["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "n") step(1);
    if (event.key === "p") step(-1);
  });
  new ResizeObserver(() => { if (state.drawn && Math.abs(find("timeline").clientWidth - 12 - Number(state.drawn.svg.getAttribute("width"))) > 1) drawVideo(); }).observe(find("timeline"));
}

function drawAll() {
  find("levels").querySelectorAll("button").forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === state.level)));
  drawSummary();
  drawCharts();
  drawClasses();
  fillChoice();
  drawVideo();
}

connect();
const asked = (location.hash.match(/^#video=(.*)$/) || [])[1];
const place = content.videos.findIndex((video) => encodeURIComponent(video.id) === asked || video.id === asked);
state.video = place >= 0 ? place : orderOfVideos()[0] ?? 0;
if (content.videos.length) chooseVideo(state.video);
drawAll();
