"use strict";
// Puts the page of a detector together, and keeps level, video, filter, zoom and choice.

const content = JSON.parse(find("content").textContent);
const COLOURS = [...content.colours, "#8a8f98"];
const ALL_KINDS = [["missed", "missed"], ...content.outcomes.map((name, i) => [i, name])];
const LEAST_VIEW = 0.5; // seconds
const state = {
  level: Object.keys(content.levels)[0], video: -1, threshold: content.threshold, wanted: null, kind: null,
  sort: { column: "annotations", falling: true }, view: null, chosen: -1, drawn: null,
};
const filter = () => ({ threshold: state.threshold, wanted: state.wanted, kind: state.kind });
const player = connectPlayer({ onTime: followVideo });
const list = connectList(chooseVideo);

// Errors of each video that the filter leaves: missed annotations, and wrong detections among the
// G best of their class; by outcome, missed ones in the place of the true positives.
function tally() {
  const { truth, found } = content;
  const { level, wanted, kind } = state;
  return content.videos.map((_, video) => {
    const counts = new Array(content.outcomes.length).fill(0);
    let isOf = wanted === null;
    for (let row = truth.offsets[video]; row < truth.offsets[video + 1]; row += 1) {
      if (wanted !== null && labelAt(content, level, truth.label[row]) !== wanted) continue;
      isOf = true;
      if (kind !== null && kind !== "missed") continue;
      if (codeAt(truth.missed[level], row) === 1) counts[0] += 1;
    }
    for (let row = found.offsets[video]; row < found.offsets[video + 1]; row += 1) {
      const outcome = outcomeOf(found, level, row);
      if (!isTop(found, level, row) || outcome === NOT_JUDGED || outcome === TRUE_POSITIVE && kind !== TRUE_POSITIVE) continue;
      if (kind !== null && kind !== outcome || !concerns(content, level, row, wanted)) continue;
      counts[outcome] += 1;
    }
    const total = counts.reduce((a, b) => a + b, 0);
    return { counts, total, isShown: kind === null ? isOf || total > 0 : total > 0 };
  });
}

function stripes(counts, total) {
  let low = 0;
  const parts = counts.map((count, i) => {
    const from = low;
    low += (100 * count) / Math.max(total, 1);
    const colour = i === 0 && state.kind !== TRUE_POSITIVE ? "var(--truth)" : COLOURS[i];
    return `${colour} ${from}% ${low}%`;
  });
  return `linear-gradient(90deg, ${parts.join(", ")})`;
}

const isFiltered = () => state.wanted !== null || state.kind !== null || find("find").value.trim() !== "";

function drawList() {
  const text = find("find").value.trim().toLowerCase();
  const tallies = tally();
  const order = content.videos.map((_, i) => i)
    .filter((i) => tallies[i].isShown && content.videos[i].id.toLowerCase().includes(text))
    .sort((a, b) => tallies[b].total - tallies[a].total || a - b);
  const most = Math.max(1, ...order.map((i) => tallies[i].total));
  list.fill(order, (i) => {
    const { counts, total } = tallies[i];
    const words = state.kind === TRUE_POSITIVE ? `${total} right` : counted(total, "error");
    return [make("span", { class: "item-name" }, content.videos[i].id), make("span", { class: "count" }, words), make("span", { class: "stripes", style: `width:${(100 * total) / most}%;background:${stripes(counts, total)}` })];
  });
  const all = content.videos.length;
  find("how-many").textContent = order.length === all ? counted(all, "video") : `${order.length} of ${counted(all, "video")}`;
  find("clear").hidden = !isFiltered();
  if (order.includes(state.video) || !order.length && state.video >= 0) {
    list.mark(state.video);
    drawVideo();
    if (state.chosen < 0) chooseFirstError();
  } else if (order.length) chooseVideo(order[0]);
}

function chooseVideo(number) {
  const { file, id } = content.videos[number];
  const isNew = number !== state.video;
  state.video = number;
  if (isNew) {
    state.view = null;
    state.chosen = -1;
    player.open(file);
    history.replaceState(null, "", `#video=${encodeURIComponent(id)}`);
  }
  list.mark(number);
  drawVideo();
  if (isNew) chooseFirstError();
}

function chooseFirstError() {
  const place = state.drawn.bars.findIndex((bar) => (bar.isTruth ? bar.isMissed : bar.outcome > TRUE_POSITIVE));
  if (place >= 0) choose(place);
}

function drawVideo() {
  const host = find("timeline"), video = content.videos[state.video];
  const width = Math.max(240, host.clientWidth);
  const chosen = state.drawn?.bars[state.chosen];
  state.drawn = drawTimeline(content, state.level, state.video, barsOf(content, state.level, state.video, filter()), { width, view: state.view, colours: COLOURS });
  state.drawn.video = state.video;
  state.chosen = chosen ? state.drawn.bars.findIndex((bar) => bar.isTruth === chosen.isTruth && bar.row === chosen.row) : -1;
  host.replaceChildren(state.drawn.svg);
  host.classList.toggle("zoomed", state.view !== null);
  find("zoom-all").disabled = find("zoom-out").disabled = state.view === null;
  find("threshold-shown").textContent = shown(state.threshold, 2);
  find("video-name").textContent = video.id;
  const truths = state.drawn.bars.filter((bar) => bar.isTruth);
  const others = state.drawn.bars.length - truths.length;
  find("video-facts").textContent = `${shown(video.duration, 1)} s; ${counted(truths.length, "annotation")}, ${truths.filter((bar) => bar.isMissed).length} missed; ${counted(others, "detection")} with a score from ${shown(state.threshold, 2)}.`;
  markChosen();
  followVideo(find("player").currentTime);
}

function markChosen() {
  const { bars } = state.drawn;
  const bar = bars[state.chosen];
  bars.forEach((one) => {
    one.node?.classList.toggle("chosen", one === bar);
    one.node?.classList.toggle("near", Boolean(bar) && !bar.isTruth && one.isTruth && one.row === bar.nearest);
  });
  const lines = bar ? describe(content, state.level, bar) : ["Choose a bar of the timeline to see what it is."];
  find("about").replaceChildren(...lines.map((line, i) => make(i || !bar ? "p" : "h4", {}, line)));
  find("about").style.setProperty("--swatch", !bar ? "transparent" : bar.isTruth ? "var(--truth)" : COLOURS.at(bar.outcome));
}

function choose(place) {
  const { bars, from, to } = state.drawn;
  if (!bars.length) return;
  state.chosen = Math.min(Math.max(place, 0), bars.length - 1);
  const bar = bars[state.chosen];
  if (state.view && (bar.start < from || bar.end > to)) moveTo(bar.start - 0.1 * (to - from));
  markChosen();
  player.seek(bar.start, [bar.start, Math.max(bar.end, bar.start + 0.1)]);
}

function followVideo(seconds) {
  if (!state.drawn || state.drawn.video !== state.video) return;
  const { playhead, left, right, from, to, duration } = state.drawn;
  if (state.view && !find("player").paused && seconds >= to && to < duration) { moveTo(seconds); return; }
  const at = state.drawn.x(seconds);
  playhead.setAttribute("x1", at);
  playhead.setAttribute("x2", at);
  playhead.setAttribute("visibility", player.isThere() && at >= left && at <= right ? "visible" : "hidden");
}

// Zoom: what part of the video the timeline shows; null is all of it.
function setView(from, length) {
  const { duration } = state.drawn;
  if (length >= duration) state.view = null;
  else {
    const first = Math.min(Math.max(from, 0), duration - length);
    state.view = [first, first + length];
  }
  drawVideo();
}
function moveTo(from) { setView(from, state.drawn.to - state.drawn.from); }
function zoom(factor, around) {
  const { from, to, duration } = state.drawn;
  const length = Math.min(Math.max((to - from) * factor, Math.min(LEAST_VIEW, duration)), duration);
  const centre = around ?? (state.drawn.bars[state.chosen]?.start ?? (from + to) / 2);
  const share = Math.min(Math.max((centre - from) / (to - from), 0), 1);
  setView(centre - share * length, length);
}

function show({ wanted = state.wanted, kind = state.kind, isFar = false }) {
  state.wanted = wanted;
  state.kind = kind;
  find("class").value = wanted === null ? "" : String(wanted);
  find("kind").value = kind === null ? "" : String(kind);
  drawList();
  if (isFar) find("h-videos").scrollIntoView({ behavior: "smooth" });
}

function setLevel(name) {
  state.level = name;
  state.wanted = null;
  pressLevel(name);
  const level = content.levels[name];
  const present = level.classes.map((row, i) => [i, row]).filter(([, row]) => row.annotations || row.detections);
  find("class").replaceChildren(make("option", { value: "" }, "all"), ...present.map(([i, row]) => make("option", { value: i }, row.name)));
  drawHead(content.facts, [
    ["mAP, mean over tIoU", level.average, 2, "mean average precision, averaged over the tIoU thresholds"],
    ...level.tiles.map(([title, value]) => [title, value, 2, "mean average precision, where a match needs this overlap"]),
    ["of annotations missed", level.missed, 1, "annotations that no detection of their class finds"],
  ]);
  find("charts").replaceChildren(...drawFigures(content, name, { press: (label, kind) => show({ wanted: label, kind: ALL_KINDS.find((pair) => pair[1] === kind)[0], isFar: true }) }));
  const columns = [["name", "class", null], ["annotations", "annotations", 0], ["detections", "detections", 0], ["ap", "AP, mean (%)", 2], ...content.shown_tiou.map((tiou, i) => [`ap${i}`, `AP at tIoU ${tiou} (%)`, 2]), ["missed", "missed (%)", 1]];
  drawTable(find("classes"), columns, level.classes, state.sort, (row) => show({ wanted: level.classes.indexOf(row), kind: null, isFar: true }));
  show({});
}

function connectTimeline() {
  const host = find("timeline");
  const pixels = (event) => event.clientX - state.drawn.svg.getBoundingClientRect().left;
  let drag = null;
  host.addEventListener("pointerdown", (event) => {
    drag = { at: event.clientX, from: state.drawn.from, perPixel: (state.drawn.to - state.drawn.from) / (state.drawn.right - state.drawn.left), isMoving: false, target: event.target };
  });
  addEventListener("pointermove", (event) => {
    if (!drag) return;
    const by = event.clientX - drag.at;
    drag.isMoving ||= Math.abs(by) > 5;
    if (drag.isMoving && state.view) moveTo(drag.from - by * drag.perPixel);
  });
  addEventListener("pointercancel", () => { drag = null; });
  addEventListener("pointerup", (event) => {
    const was = drag;
    drag = null;
    if (!was || was.isMoving) return;
    const place = state.drawn.bars.findIndex((bar) => bar.node === was.target);
    if (place >= 0) choose(place);
    else player.seek(Math.min(Math.max(state.drawn.secondsAt(pixels(event)), 0), state.drawn.duration));
  });
  host.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && document.activeElement !== host) return;
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) moveTo(state.drawn.from + (event.deltaX * (state.drawn.to - state.drawn.from)) / 800);
    else zoom(1.25 ** Math.sign(event.deltaY), state.drawn.secondsAt(pixels(event)));
  }, { passive: false });
  host.addEventListener("keydown", (event) => {
    const far = 0.25 * (state.drawn.to - state.drawn.from);
    const last = state.drawn.bars.length - 1;
    const actions = event.shiftKey
      ? { ArrowRight: () => moveTo(state.drawn.from + far), ArrowLeft: () => moveTo(state.drawn.from - far) }
      : { ArrowRight: () => choose(state.chosen + 1), ArrowLeft: () => choose(state.chosen - 1), Home: () => choose(0), End: () => choose(last), Enter: () => player.play() };
    if (!actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
  });
  find("zoom-in").addEventListener("click", () => zoom(1 / 2));
  find("zoom-out").addEventListener("click", () => zoom(2));
  find("zoom-all").addEventListener("click", () => setView(0, Infinity));
  let width = 0;
  new ResizeObserver(() => {
    if (host.clientWidth !== width && state.drawn) { width = host.clientWidth; drawVideo(); }
  }).observe(host);
}

function connect() {
  connectTheme();
  connectTimeline();
  connectLevels(Object.keys(content.levels), setLevel);
  find("kind").replaceChildren(make("option", { value: "" }, "all"), ...ALL_KINDS.map(([value, name]) => make("option", { value }, name)));
  find("class").addEventListener("change", (event) => show({ wanted: event.target.value === "" ? null : Number(event.target.value) }));
  find("kind").addEventListener("change", (event) => show({ kind: ALL_KINDS.find(([value]) => String(value) === event.target.value)?.[0] ?? null }));
  find("find").addEventListener("input", drawList);
  find("clear").addEventListener("click", () => { find("find").value = ""; show({ wanted: null, kind: null }); });
  Object.assign(find("threshold"), { max: content.highest, step: content.highest / 100, value: state.threshold });
  find("threshold").addEventListener("input", (event) => { state.threshold = Number(event.target.value); drawVideo(); });
  document.addEventListener("keydown", (event) => {
    if (isTyping(event)) return;
    const action = { "+": () => zoom(1 / 2), "=": () => zoom(1 / 2), "-": () => zoom(2), 0: () => setView(0, Infinity) }[event.key];
    if (action && state.drawn) action();
  });
  const explain = (letter, name, meaning, colour, kind = "") => make("span", { class: kind, style: `--swatch:${colour}`, title: meaning }, `${letter} ${name}`.trim());
  find("legend").replaceChildren(
    explain("", "annotated", "outlined bars", "transparent", "outlined"), explain("", "missed", "annotated, and not found", "transparent", "outlined dashed"),
    ...content.outcomes.map((name, i) => explain(content.letters[i], name, content.meanings[i], COLOURS[i])), explain("", "not judged", "many of its class have higher scores", COLOURS.at(-1)));
  find("words").append(...content.outcomes.flatMap((name, i) => [make("dt", { style: `--swatch:${COLOURS[i]}`, class: "swatch" }, `${content.letters[i]} ${name}`), make("dd", {}, `${content.meanings[i][0].toUpperCase()}${content.meanings[i].slice(1)}.`)]));
}

connect();
const asked = (location.hash.match(/^#video=(.*)$/) || [])[1];
const place = content.videos.findIndex((video) => encodeURIComponent(video.id) === asked || video.id === asked);
setLevel(state.level);
if (place >= 0) chooseVideo(place);
