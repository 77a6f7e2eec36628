// What the page knows: the project, the current video, what is selected and shown.

import { get } from "./api.js";

// Distinguishable with common colour blindness; one for each body part, or behaviour of a flat set.
const COLOURS = ["#4477aa", "#ee6677", "#228833", "#b59f1c", "#3aa6c8", "#aa3377", "#7d7d7d", "#b0651d"];

export const store = {
  project: null,
  annotator: "",
  video: null,
  detections: new Map(),
  instances: new Map(),
  others: {}, // instances of each other annotator, where the server shows them
  settled: new Set(), // numbers of detections that need no decision any more
  reviewed: [], // [start, end, whether suggestions were hidden] of what the annotator looked at
  selected: null, // key of an item: "d12" is a detection without a decision, "i5" an instance, "o7" another's
  filter: { behaviours: null, min: 0, max: 1, states: new Set(["open", "accepted", "rejected", "settled"]), people: new Set() },
  history: { undo: 0, redo: 0 },
  // Times of the selected item while an edge is moved, before they are saved.
  edit: null,
  hides: null, // (item) => whether it must not be seen now
};

const listeners = new Set();
export const onChange = (listener) => listeners.add(listener);
// `what`: "edge" where only an edge of the selected item has moved, which happens at each frame.
export function changed(what = null) {
  listeners.forEach((listener) => listener(what));
}

// What is made from the maps above, until they change.
let version = 0;
let known = { all: null, shown: null, keys: null, of: -1, selected: null };

// To be called when detections, instances or the filter have changed.
export function itemsChanged() {
  version += 1;
  known = { all: null, shown: null, keys: null };
}

// Grows with each change of the items that are shown.
export function itemsVersion() {
  shownItems();
  return version;
}

export async function loadProject() {
  store.project = await get("/api/project");
  const parts = [...new Set(store.project.behaviours.map((one) => one.body_part))];
  const isFlat = parts.length < 2;
  store.behaviours = new Map(store.project.behaviours.map((one, place) => {
    const colour = COLOURS[(isFlat ? place : parts.indexOf(one.body_part)) % COLOURS.length];
    return [one.id, { ...one, place, colour, title: one.code ? `${one.code} ${one.name}` : one.name }];
  }));
  store.videos = new Map(store.project.videos.map((one) => [one.id, one]));
  itemsChanged();
}

export function addBehaviour(one) {
  if (store.behaviours.has(one.id)) return;
  store.project.behaviours.push(one);
  const place = store.behaviours.size;
  store.behaviours.set(one.id, { ...one, place, colour: COLOURS[place % COLOURS.length], title: one.name });
}

export async function loadVideo(number) {
  const query = new URLSearchParams({ annotator: store.annotator });
  const found = await get(`/api/videos/${number}?${query}`);
  store.video = store.videos.get(number);
  store.detections = new Map(found.detections.map(([id, behaviour, start, end, score]) =>
    [id, { id, behaviour, start, end, score }]));
  store.instances = new Map(found.instances.map((one) => [one.id, one]));
  store.others = found.others;
  store.reviewed = found.reviewed;
  store.settled = new Set(found.settled);
  store.history = found.history;
  store.selected = store.edit = null;
  itemsChanged();
}

// Keep a change that the server has made; the keys of what is new.
export function apply({ change, settled }) {
  store.settled = new Set(settled);
  change.before.forEach((one) => store.instances.delete(one.id));
  change.after.forEach((one) => store.instances.set(one.id, one));
  store.edit = null;
  itemsChanged();
  return change.after.filter((one) => one.state !== "merged").map((one) => `i${one.id}`);
}

function itemOf(one, annotator) {
  const found = store.detections.get(one.detection);
  return {
    key: `${annotator ? "o" : "i"}${one.id}`, target: { instance: one.id }, behaviour: one.behaviour, state: one.state,
    start: one.start_seconds, end: one.end_seconds, score: found?.score ?? null, detection: one.detection, annotator,
  };
}

// All items of the video by start, also those that the filter hides.
export function allItems() {
  if (known.all) return known.all;
  const items = [];
  const decided = new Set();
  for (const one of store.instances.values()) {
    if (one.detection !== null) decided.add(one.detection);
    if (one.state !== "merged") items.push(itemOf(one, null));
  }
  for (const one of store.detections.values()) {
    if (decided.has(one.id)) continue;
    const state = store.settled.has(one.id) ? "settled" : "open";
    items.push({ ...one, key: `d${one.id}`, target: { detection: one.id }, state, detection: one.id, annotator: null });
  }
  for (const [annotator, instances] of Object.entries(store.others)) {
    items.push(...instances.filter((one) => one.state !== "merged").map((one) => itemOf(one, annotator)));
  }
  known.all = (store.hides ? items.filter((one) => !store.hides(one)) : items)
    .sort((a, b) => a.start - b.start || a.end - b.end);
  known.keys = new Map(known.all.map((one) => [one.key, one]));
  return known.all;
}

export function itemOfKey(key) {
  allItems();
  return known.keys.get(key);
}

// With the selected one, whatever the filter says.
export function shownItems() {
  if (known.shown && known.selected === store.selected) return known.shown;
  const isOnlyNew = known.shown && isShown(itemOfKey(store.selected)) && isShown(itemOfKey(known.selected));
  known.selected = store.selected;
  if (isOnlyNew) return known.shown;
  version += 1;
  known.shown = allItems().filter((one) => one.key === store.selected || isShown(one));
  return known.shown;
}

function isShown(one) {
  if (!one) return true;
  const { behaviours, min, max, states, people } = store.filter;
  return states.has(one.state)
    && (!one.annotator || people.has(one.annotator))
    && (!behaviours || behaviours.has(one.behaviour))
    && (isDecided(one) || (one.score >= min && one.score <= max));
}

// Whether the person, or another one, has said something about it itself.
export const isDecided = (one) => one.state === "accepted" || one.state === "rejected";

export function selectedItem() {
  const item = itemOfKey(store.selected);
  return item && store.edit?.key === item.key ? { ...item, ...store.edit } : item;
}
