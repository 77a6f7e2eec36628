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
  selected: null, // key of an item: "d12" is a detection without a decision, "i5" an instance
  filter: { behaviours: null, min: 0, max: 1, states: new Set(["open", "accepted", "rejected"]) },
  history: { undo: 0, redo: 0 },
  // Times of the selected item while an edge is moved, before they are saved.
  edit: null,
};

const listeners = new Set();
export const onChange = (listener) => listeners.add(listener);
export function changed() {
  listeners.forEach((listener) => listener());
}

let cached = null;

export async function loadProject() {
  store.project = await get("/api/project");
  const parts = [...new Set(store.project.behaviours.map((one) => one.body_part))];
  const isFlat = parts.length < 2;
  store.behaviours = new Map(store.project.behaviours.map((one, place) => {
    const colour = COLOURS[(isFlat ? place : parts.indexOf(one.body_part)) % COLOURS.length];
    return [one.id, { ...one, place, colour, title: one.code ? `${one.code} ${one.name}` : one.name }];
  }));
  store.videos = new Map(store.project.videos.map((one) => [one.id, one]));
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
  store.history = found.history;
  store.selected = store.edit = null;
  cached = null;
}

// Keep a change that the server has made; the keys of what is new.
export function apply(change) {
  change.before.forEach((one) => store.instances.delete(one.id));
  change.after.forEach((one) => store.instances.set(one.id, one));
  store.edit = null;
  cached = null;
  return change.after.filter((one) => one.state !== "merged").map((one) => `i${one.id}`);
}

// All items of the video by start, also those that the filter hides.
export function allItems() {
  if (cached) return cached;
  const items = [];
  const decided = new Set();
  for (const one of store.instances.values()) {
    if (one.detection !== null) decided.add(one.detection);
    if (one.state === "merged") continue;
    const detection = store.detections.get(one.detection);
    items.push({
      key: `i${one.id}`, target: { instance: one.id }, behaviour: one.behaviour, state: one.state,
      start: one.start_seconds, end: one.end_seconds, score: detection?.score ?? null, detection: one.detection,
    });
  }
  for (const one of store.detections.values()) {
    if (decided.has(one.id)) continue;
    items.push({ ...one, key: `d${one.id}`, target: { detection: one.id }, state: "open", detection: one.id });
  }
  cached = items.sort((a, b) => a.start - b.start || a.end - b.end);
  return cached;
}

export function shownItems() {
  const { behaviours, min, max, states } = store.filter;
  return allItems().filter((one) => one.key === store.selected || (states.has(one.state)
    && (!behaviours || behaviours.has(one.behaviour))
    && (one.state !== "open" || (one.score >= min && one.score <= max))));
}

export function selectedItem() {
  const item = allItems().find((one) => one.key === store.selected);
  return item && store.edit?.key === item.key ? { ...item, ...store.edit } : item;
}
