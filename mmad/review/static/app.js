// The page: connects what the person does to the store, the player, the timeline and the server.

import { Decisions } from "./decisions.js";
import { askBehaviour, askWho, showKeys } from "./dialogs.js";
import { Edges } from "./edges.js";
import { extras } from "./extras.js";
import { fillChoices, fillPeople, listenToFilters, suggestScore } from "./filters.js";
import { listenToKeys } from "./keys.js";
import { List } from "./list.js";
import { noteDecision, showCard, showProgress, showReviewed } from "./panel.js";
import { Player } from "./player.js";
import { Queue } from "./queue.js";
import { allItems, changed, itemOfKey, itemsChanged, loadProject, loadVideo, onChange, selectedItem, shownItems, store } from "./store.js";
import { markReviewed, reviewedAt, Stretch } from "./stretches.js";
import { Timeline } from "./timeline/timeline.js";
import { clock } from "./words.js";

const by = (id) => document.querySelector(`#${id}`);
const CONTEXT_SECONDS = 0.5;
const MOST_TRIES = 5;
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

export const player = new Player(by("video"), {
  onFrame: (frame, now) => {
    const all = player.times.length;
    by("clock").textContent = `${clock(now, 3)} · frame ${frame} of ${all}`;
    timeline.at(now);
    drawing.follow();
    marking.follow();
    showReviewed(player);
    if (!player.video.paused) timeline.follow();
    const item = selectedItem();
    by("split").disabled = !item || Boolean(item.annotator) || !(now > item.start && now < item.end);
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
  onEdge: (...given) => edges.move(...given),
  onDraw: draw,
  onReviewed: reviewed,
});
timeline.snap = (seconds) => edges.snap(seconds);
timeline.repeated = () => (player.loops ? player.range : null);

const queue = new Queue({ onNews: showProgress, tell });
const decisions = new Decisions({ tell, onDecided: decided, openVideo });
const seen = []; // [video, key] of what was selected before, for going back
const edges = new Edges(player, decisions);
const list = new List((item) => select(item.key));
const drawing = new Stretch({
  id: "draw", doing: "Drawing", key: "D", player, timeline, tell, done: draw,
  show: (span) => { timeline.drawn = span; },
});
const marking = new Stretch({
  id: "reviewed", doing: "Reviewed", key: "W", player, timeline, tell, done: (start, end) => reviewed(start, end, true),
  show: (span) => { timeline.marked = span && [...span, true]; },
});

function sayNoVideo(text) {
  by("stage-text").textContent = text ?? "";
  by("stage-text").hidden = !text;
  player.video.hidden = Boolean(text);
}

async function openVideo(number) {
  player.video.pause();
  drawing.stop();
  marking.stop();
  await loadVideo(number);
  by("video-pick").value = String(number);
  fillPeople(filtered);
  timeline.open(number, store.video.duration);
  const { problem } = store.video;
  sayNoVideo(NO_VIDEO[problem]);
  if (!problem) {
    await player.load(number).catch((error) => tell(error.message));
    const { videoWidth, videoHeight } = player.video;
    if (player.times.length) timeline.strip.ready((seconds) => player.frameAt(seconds, true), videoWidth / videoHeight);
  }
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

// Whether it is there and not settled: it may have been decided in another window.
async function goTo(video, key) {
  if (video !== store.video?.id) await openVideo(video);
  const item = itemOfKey(key);
  if (!item || item.state === "settled") return false;
  timeline.focus(item.start, item.end);
  select(key, { plays: true });
  return true;
}

async function next({ skips = true } = {}) {
  await decisions.flush();
  const current = selectedItem();
  if (skips && current?.state === "open") queue.skip(current.detection);
  try {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const found = await queue.next(current?.detection);
      if (!found) return tell(queue.total ? "This is the last one." : "Nothing waits with this filter.");
      if (await goTo(found[0], `d${found[1]}`)) return;
      queue.drop(found[1]);
    }
    tell("The queue has changed meanwhile; press N again.");
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
  const item = itemOfKey(key)
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
      && !one.annotator && ["open", "accepted"].includes(one.state) && one.start >= item.start);
    if (!other) return tell("No other one of this behaviour comes after it.");
    await decisions.decide({ action: "merge", targets: [item.target, other.target] });
  } else {
    await decisions.flush();
    const current = selectedItem() ?? item;
    await decisions.decide({ action: name, target: current.target });
  }
}

async function draw(start, end) {
  player.video.pause();
  const behaviour = await askBehaviour(`${clock(start)} to ${clock(end)}: which behaviour?`).catch((problem) => tell(problem.message));
  if (behaviour) await decisions.decide({ action: "draw", behaviour, start, end });
}

async function reviewed(start, end, isReviewed) {
  await markReviewed(start, end, isReviewed).catch((problem) => tell(problem.message));
  queue.filtered();
}

function unreviewed() {
  const stretch = reviewedAt(player.now);
  if (stretch) reviewed(stretch[0], stretch[1], false);
  else tell("Nothing was marked as reviewed here.");
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
  loop: () => {
    player.loops = press("loop");
    timeline.redrawHead();
  },
  half: () => player.setHalf(press("half")),
  sound: () => { player.video.muted = !press("sound"); },
  draw: () => drawing.press(),
  reviewed: () => marking.press(),
  unreviewed,
  curves: () => {
    timeline.curves.isOn = press("curves");
    itemsChanged();
    timeline.redraw();
  },
  escape: () => {
    drawing.stop();
    marking.stop();
  },
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
  startEarlier: () => edges.nudge("start", -1),
  startLater: () => edges.nudge("start", 1),
  endEarlier: () => edges.nudge("end", -1),
  endLater: () => edges.nudge("end", 1),
  startHere: () => edges.setHere("start"),
  endHere: () => edges.setHere("end"),
  who: changeWho,
};

function listen() {
  for (const button of document.querySelectorAll("body > header button, main button")) {
    button.addEventListener("click", (event) => {
      const { nudge: by_frames, set } = button.dataset;
      if (by_frames) edges.nudge(by_frames.split(",")[0], Number(by_frames.split(",")[1]));
      else if (set) edges.setHere(set);
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
}

const filtered = listenToFilters({
  onFilter: () => {
    changed();
    queue.filtered();
  },
  onOrder: (order) => {
    queue.order = order;
    queue.refresh().catch((problem) => tell(problem.message));
  },
});

// At most once a frame, while an edge is dragged.
let listed = false;
function requestList() {
  if (listed) return;
  listed = true;
  requestAnimationFrame(() => {
    listed = false;
    list.show();
  });
}

let spokenBefore = "";
onChange((what) => {
  const spoken = showCard(player);
  if (what === "edge") return timeline.redrawBody();
  timeline.redraw();
  if (spoken !== spokenBefore) by("live").textContent = spokenBefore = spoken;
  requestList();
});

async function changeWho() {
  await decisions.flush();
  await chooseWho();
  await openVideo(store.video.id);
  await queue.refresh();
}

// Once detections have changed: all of it anew, but the video plays on.
async function reload() {
  await decisions.flush();
  const { selected } = store;
  await loadProject();
  await loadVideo(store.video.id);
  fillChoices();
  fillPeople(filtered);
  suggestScore();
  timeline.curves.open(store.video.id);
  if (itemOfKey(selected)) store.selected = selected;
  changed();
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
  suggestScore();
  listen();
  const page = {
    toolbar: by("toolbar"), side: by("panels"), commands, store, player, timeline, onChange, tell, openVideo, goTo, reload,
    flush: () => decisions.flush(),
  };
  extras.forEach((setUp) => setUp(page));
  if (!store.project.videos.length) return tell("This project has no videos.");
  await chooseWho();
  await queue.refresh();
  const first = queue.waiting[0]?.[0] ?? (store.project.videos.find((one) => !one.problem) ?? store.project.videos[0]).id;
  await openVideo(first);
  document.documentElement.dataset.ready = "true";
}

start().catch((problem) => tell(problem.message));
