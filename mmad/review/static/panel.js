// The card of the selected item, and the progress.

import { isDecided, selectedItem, store } from "./store.js";
import { reviewedAt } from "./stretches.js";
import { clock, spoken, stateOf } from "./words.js";

const by = (id) => document.querySelector(`#${id}`);
const PACE_DECISIONS = 20;
const decided = [];

export function showCard(player) {
  const item = selectedItem();
  const behaviour = item && store.behaviours.get(item.behaviour);
  by("card-name").textContent = behaviour?.title ?? "Nothing selected";
  by("card-swatch").style.background = behaviour?.colour ?? "transparent";
  const others = item?.annotator;
  by("card-state").textContent = item ? `${stateOf(item)}${others ? ` by ${others}` : ""}` : "";
  by("card-state").dataset.state = item?.state ?? "";
  by("card-facts").textContent = item ? [behaviour.body_part, `${(item.end - item.start).toFixed(2)} s`,
    item.score === null ? null : `score ${item.score.toFixed(2)}`,
    item.state === "settled" ? "needs no decision" : null].filter(Boolean).join(" · ")
    : store.hides ? "Draw what you see in the stretch; what you have drawn can be chosen in the timeline and changed here."
    : store.project?.sources.length ? "Choose one in the timeline, or press N for the next in the queue."
      : "No model has searched these videos: draw with D, or add detections with mmad project add.";
  by("edges").hidden = !item || Boolean(others);
  if (item) {
    by("start-text").textContent = clock(item.start, 3);
    by("end-text").textContent = clock(item.end, 3);
  }
  by("accept").disabled = !item || Boolean(others) || item.state === "accepted";
  by("reject").disabled = !item || Boolean(others) || item.state === "rejected" || item.detection === null;
  by("relabel").disabled = !item || Boolean(others);
  by("split").disabled = !item || Boolean(others) || !(player.now > item.start && player.now < item.end);
  by("merge").disabled = !item || Boolean(others);
  by("delete").disabled = !item || Boolean(others) || !isDecided(item);
  showReviewed(player);
  by("undo").disabled = !store.history.undo;
  by("undo").dataset.number = store.history.undo;
  by("redo").disabled = !store.history.redo;
  return item ? spoken(item, behaviour) : "";
}

// Called at each frame.
export function showReviewed(player) {
  const now = reviewedAt(player.now);
  if (by("unreviewed").disabled !== !now) by("unreviewed").disabled = !now;
}

export function noteDecision() {
  decided.push(performance.now());
  if (decided.length > PACE_DECISIONS) decided.shift();
}

export function showProgress({ progress, total }) {
  const sum = (place) => progress.reduce((all, row) => all + row[place], 0);
  const [open, done] = [sum(1), sum(2) + sum(3)];
  by("done-bar").value = open + done ? done / (open + done) : 0;
  const length = [...store.videos.values()].reduce((all, one) => all + one.duration, 0);
  by("done-text").textContent = `${done} decided, ${open} left · ${percent(sum(4), length)} reviewed`;
  by("left-text").textContent = total === 1 ? "1 waits" : `${total} wait`;
  const hours = decided.length > 4 ? (decided[decided.length - 1] - decided[0]) / 3.6e6 : 0;
  by("pace").textContent = hours ? `${Math.round((decided.length - 1) / hours)} an hour` : "";
  const rows = new Map(progress.map((row) => [row[0], row]));
  for (const option of by("video-pick").options) {
    const video = store.videos.get(Number(option.value));
    const [, waiting = 0, , , reviewed = 0] = rows.get(video.id) ?? [];
    option.textContent = `${video.name} (${video.problem ?? `${waiting} open, ${percent(reviewed, video.duration)} reviewed`})`;
  }
}

function percent(part, whole) {
  const share = whole ? (100 * part) / whole : 0;
  // Not all before it is all, and not nothing once there is something.
  return `${share >= 99.5 && share < 99.99 ? 99 : share > 0 && share < 0.5 ? "<1" : Math.round(share)} %`;
}
