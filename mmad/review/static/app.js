// The page: connects what the person does to the store, the player, the timeline and the server.

import { Decisions } from "./decisions.js";
import { askBehaviour, askWho, showKeys } from "./dialogs.js";
import { listenToKeys } from "./keys.js";
import { noteDecision, showCard, showList, showProgress } from "./panel.js";
import { Player } from "./player.js";
import { Queue } from "./queue.js";
import { allItems, changed, loadProject, loadVideo, onChange, selectedItem, shownItems, store } from "./store.js";
import { Timeline } from "./timeline.js";
import { clock } from "./words.js";

const by = (id) => document.querySelector(`#${id}`);
const CONTEXT_SECONDS = 0.5;
const TOAST_MILLISECONDS = 6000;
const NO_VIDEO = {
  gone: "The file of this video is gone. Put it back, and start mmad review again.",
  replaced: "The file of this video is another one than when the project was made. Put the old one back.",
  "not playable": "No copy of this video could be made; the terminal of mmad review says why.",
};

let toastTimer;
function tell(text) {
  by("toast").textContent = text;
  by("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { by("toast").hidden = true; }, TOAST_MILLISECONDS);
}

const player = new Player(by("video"), {
  onFrame: (frame, now) => {
    const all = player.times.length;
    by("clock").textContent = `${clock(now, 3)} · frame ${frame} of ${all}`;
    timeline.at(now);
    if (drawStart !== null) {
      timeline.drawn = [drawStart, player.times[frame + 1] ?? store.video.duration];
      timeline.redraw();
    }
    if (!player.video.paused) timeline.follow();
    const item = selectedItem();
    by("split").disabled = !item || !(now > item.start && now < item.end);
  },
  onProblem: () => sayNoVideo("This browser cannot play this video. End mmad review with Ctrl-C and start it with --copies."),
  onState: () => {
    const isPlaying = !player.video.paused;
    by("play").firstElementChild.textContent = isPlaying ? "❚❚" : "▶";
    by("play").lastElementChild.textContent = isPlaying ? "Pause" : "Play";
  },
});

export const timeline = new Timeline({
  onSeek: (seconds) => {
    player.video.pause();
    player.seek(seconds);
  },
  onSelect: (item) => select(item.key),
  onEdge: moveEdge,
  onDraw: draw,
});
timeline.snap = (seconds) => boundaries()[nearest(boundaries(), seconds)];

const queue = new Queue({ onNews: showProgress, tell });
const decisions = new Decisions({ tell, onDecided: decided, openVideo });
const seen = []; // [video, key] of what was selected before, for going back
let drawStart = null;

// Times at which a frame begins, and the end of the video: where segments may begin and end.
let known = [null, null];
function boundaries() {
  if (known[0] !== player.times) known = [player.times, Float64Array.from([...player.times, store.video?.duration ?? 0])];
  return known[1];
}

function nearest(sorted, value) {
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low > 0 && value - sorted[low - 1] <= sorted[low] - value ? low - 1 : low;
}

function sayNoVideo(text) {
  by("stage-text").textContent = text ?? "";
  by("stage-text").hidden = !text;
  player.video.hidden = Boolean(text);
}

async function openVideo(number) {
  player.video.pause();
  drawStart = null;
  await loadVideo(number);
  by("video-pick").value = String(number);
  timeline.open(store.video.duration);
  const { problem } = store.video;
  sayNoVideo(NO_VIDEO[problem]);
  if (!problem) await player.load(number).catch((error) => tell(error.message));
  changed();
}

function select(key, { plays = false } = {}) {
  const before = store.selected;
  store.selected = key;
  const item = selectedItem();
  if (before && before !== key) seen.push([store.video.id, before]);
  changed();
  if (!item) return;
  timeline.showSelected();
  const range = [Math.max(0, item.start - CONTEXT_SECONDS), Math.min(store.video.duration, item.end + CONTEXT_SECONDS)];
  if (plays || !player.video.paused) player.repeat(...range);
  else {
    player.range = range;
    player.seek(item.start);
  }
}

async function goTo(video, key) {
  if (video !== store.video?.id) await openVideo(video);
  if (!allItems().some((one) => one.key === key)) return;
  const item = allItems().find((one) => one.key === key);
  timeline.focus(item.start, item.end);
  select(key, { plays: true });
}

async function next({ skips = true } = {}) {
  await decisions.flush();
  const current = selectedItem();
  if (skips && current?.state === "open") queue.skip(current.detection);
  try {
    const found = await queue.next(current?.detection);
    if (found) await goTo(found[0], `d${found[1]}`);
    else tell(queue.total ? "This is the last one." : "Nothing waits with this filter.");
  } catch (problem) {
    tell(problem.message);
  }
}

async function previous() {
  await decisions.flush();
  const last = seen.pop();
  if (!last) return tell("This was the first one.");
  const [video, key] = last;
  if (video !== store.video.id) await openVideo(video);
  // A detection that was decided since is an instance now.
  const detection = Number(key.slice(1));
  const item = allItems().find((one) => one.key === key)
    ?? allItems().find((one) => key[0] === "d" && one.detection === detection);
  if (!item) return;
  timeline.focus(item.start, item.end);
  select(item.key, { plays: true });
  seen.pop();
}

function decided(change, keepsSelection) {
  queue.note(change);
  noteDecision();
  const isVerdict = ["accept", "reject", "relabel"].includes(change.what);
  if (isVerdict && !keepsSelection && by("goes-on").checked) queueMicrotask(() => next({ skips: false }));
}

async function act(name) {
  const item = selectedItem();
  if (!item || by(name).disabled) return;
  if (name === "relabel") {
    player.video.pause();
    const behaviour = await askBehaviour("Which behaviour is it?", item.behaviour).catch((problem) => tell(problem.message));
    if (behaviour && selectedItem()?.key === item.key) {
      await decisions.decide({ action: "relabel", target: item.target, behaviour });
    }
  } else if (name === "split") {
    await decisions.decide({ action: "split", target: item.target, at: player.now });
  } else if (name === "merge") {
    const other = shownItems().find((one) => one.behaviour === item.behaviour && one.key !== item.key
      && one.state !== "rejected" && one.start >= item.start);
    if (!other) return tell("No other one of this behaviour comes after it.");
    await decisions.decide({ action: "merge", targets: [item.target, other.target] });
  } else {
    await decisions.flush();
    const current = selectedItem() ?? item;
    await decisions.decide({ action: name, target: current.target });
  }
}

// An edge follows the pointer, frame by frame; `seconds` null: not after all.
function moveEdge(edge, seconds, isFinal) {
  const item = selectedItem();
  if (!item) return;
  if (seconds === null) return decisions.dropEdge();
  setEdge(item, edge, nearest(boundaries(), seconds), isFinal);
}

function setEdge(item, edge, place, isFinal) {
  const times = boundaries();
  if (times.length < 2) return;
  const last = times.length - 1;
  const other = nearest(times, edge === "start" ? item.end : item.start);
  const chosen = edge === "start" ? Math.max(0, Math.min(place, other - 1)) : Math.min(last, Math.max(place, other + 1));
  const segment = { start: item.start, end: item.end, [edge]: times[chosen] };
  player.video.pause();
  player.show(edge === "start" ? chosen : chosen - 1);
  decisions.edge(segment.start, segment.end, isFinal);
}

function nudge(edge, frames) {
  const item = selectedItem();
  if (item) setEdge(item, edge, nearest(boundaries(), item[edge]) + frames, false);
}

function setHere(edge) {
  const item = selectedItem();
  if (item) setEdge(item, edge, edge === "start" ? player.frame : player.frame + 1, true);
}

async function draw(start, end) {
  player.video.pause();
  const behaviour = await askBehaviour(`${clock(start)} to ${clock(end)}: which behaviour?`).catch((problem) => tell(problem.message));
  if (behaviour) await decisions.decide({ action: "draw", behaviour, start, end });
}

async function drawByKey() {
  if (!player.times.length) return;
  if (drawStart === null) {
    drawStart = player.now;
    by("draw").setAttribute("aria-pressed", "true");
    by("live").textContent = `Drawing from ${clock(drawStart)}; press D again at the end`;
    return;
  }
  const [start, end] = [drawStart, player.times[player.frame + 1] ?? store.video.duration];
  stopDrawing();
  if (end > start) await draw(start, end);
  else tell("The end is before the start.");
}

function stopDrawing() {
  drawStart = timeline.drawn = null;
  by("draw").setAttribute("aria-pressed", "false");
  timeline.redraw();
}

function toNeighbour(steps) {
  const items = shownItems();
  const place = items.findIndex((one) => one.key === store.selected);
  const item = items[place < 0 ? 0 : Math.max(0, Math.min(items.length - 1, place + steps))];
  if (item) select(item.key);
}

function press(id) {
  const button = by(id);
  const isOn = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(isOn));
  return isOn;
}

const commands = {
  accept: () => act("accept"),
  reject: () => act("reject"),
  relabel: () => act("relabel"),
  split: () => act("split"),
  merge: () => act("merge"),
  delete: () => act("delete"),
  undo: () => decisions.takeBack("undo"),
  redo: () => decisions.takeBack("redo"),
  next: () => next(),
  previous,
  play: () => player.toggle(),
  back: () => player.step(-1),
  ahead: () => player.step(1),
  secondBack: () => player.seek(player.now - 1),
  secondAhead: () => player.seek(player.now + 1),
  loop: () => { player.loops = press("loop"); },
  half: () => player.setHalf(press("half")),
  sound: () => { player.video.muted = !press("sound"); },
  draw: drawByKey,
  escape: stopDrawing,
  "zoom-in": () => timeline.zoom(0.6, player.now),
  "zoom-out": () => timeline.zoom(1 / 0.6, player.now),
  "zoom-all": () => timeline.look(0, timeline.duration),
  "zoom-selected": () => {
    const item = selectedItem();
    if (item) timeline.focus(item.start, item.end);
  },
  help: showKeys,
  up: () => toNeighbour(-1),
  down: () => toNeighbour(1),
  startEarlier: () => nudge("start", -1),
  startLater: () => nudge("start", 1),
  endEarlier: () => nudge("end", -1),
  endLater: () => nudge("end", 1),
  startHere: () => setHere("start"),
  endHere: () => setHere("end"),
  who: changeWho,
};

function listen() {
  for (const button of document.querySelectorAll("body > header button, main button")) {
    button.addEventListener("click", (event) => {
      const { nudge: by_frames, set } = button.dataset;
      if (by_frames) nudge(by_frames.split(",")[0], Number(by_frames.split(",")[1]));
      else if (set) setHere(set);
      else commands[button.id]?.();
      // After a click of the mouse the keys are for the page again.
      if (event.detail) button.blur();
    });
  }
  listenToKeys(commands);
  by("video").addEventListener("click", commands.play);
  by("video-pick").addEventListener("change", async (event) => {
    await decisions.flush();
    await openVideo(Number(event.target.value)).catch((problem) => tell(problem.message));
  });
  const filtered = () => {
    timeline.redraw();
    changed();
    queue.refreshSoon();
  };
  by("order").addEventListener("change", (event) => {
    queue.order = event.target.value;
    queue.refresh().catch((problem) => tell(problem.message));
  });
  by("behaviour").addEventListener("change", (event) => {
    const chosen = event.target.value;
    const all = [...store.behaviours.values()];
    store.filter.behaviours = !chosen ? null : new Set(chosen.startsWith("part:")
      ? all.filter((one) => one.body_part === chosen.slice(5)).map((one) => one.id) : [Number(chosen)]);
    filtered();
  });
  for (const edge of ["min", "max"]) {
    by(`${edge}-score`).addEventListener("input", (event) => {
      store.filter[edge] = Number(event.target.value);
      by(`${edge}-text`).textContent = store.filter[edge].toFixed(2);
      filtered();
    });
  }
  for (const box of document.querySelectorAll("[data-state]:is(input)")) {
    box.addEventListener("change", () => {
      if (box.checked) store.filter.states.add(box.dataset.state);
      else store.filter.states.delete(box.dataset.state);
      filtered();
    });
  }
}

function fillChoices() {
  by("project-name").textContent = store.project.name;
  document.title = `${store.project.name} · mmad review`;
  by("video-pick").replaceChildren(...store.project.videos.map((one) => new Option(one.name, String(one.id))));
  const parts = new Map();
  for (const one of store.behaviours.values()) {
    if (!parts.has(one.body_part)) parts.set(one.body_part, []);
    parts.get(one.body_part).push(new Option(one.title, String(one.id)));
  }
  for (const [part, options] of parts) {
    if (!part) by("behaviour").append(...options);
    else {
      const group = document.createElement("optgroup");
      group.label = part;
      group.append(new Option(`all of ${part}`, `part:${part}`), ...options);
      by("behaviour").append(group);
    }
  }
}

let spokenBefore = "";
onChange(() => {
  timeline.redraw();
  const spoken = showCard(player);
  if (spoken !== spokenBefore) by("live").textContent = spokenBefore = spoken;
  showList((item) => select(item.key));
});

async function changeWho() {
  await decisions.flush();
  await chooseWho();
  await openVideo(store.video.id);
  await queue.refresh();
}

async function chooseWho() {
  const fixed = store.project.annotator;
  const key = `annotator of ${store.project.name}`;
  store.annotator = fixed ?? await askWho(store.annotator || (sessionStorage.getItem(key) ?? "")) ?? store.annotator;
  sessionStorage.setItem(key, store.annotator);
  by("who").textContent = store.annotator;
  by("who").disabled = Boolean(fixed);
  by("who").setAttribute("aria-label", `Annotator: ${store.annotator}`);
}

async function start() {
  // The token is a cookie now; it should not stay where others may read it.
  history.replaceState(null, "", "/");
  await loadProject();
  player.video.muted = true;
  fillChoices();
  listen();
  if (!store.project.videos.length) return tell("This project has no videos.");
  await chooseWho();
  await queue.refresh();
  const first = queue.waiting[0]?.[0] ?? (store.project.videos.find((one) => !one.problem) ?? store.project.videos[0]).id;
  await openVideo(first);
  document.documentElement.dataset.ready = "true";
}

start().catch((problem) => tell(problem.message));
