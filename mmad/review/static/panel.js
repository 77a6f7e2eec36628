// The card of the selected item, the list of the video, the progress.

import { selectedItem, shownItems, store } from "./store.js";
import { clock, spoken, stateOf } from "./words.js";

const by = (id) => document.querySelector(`#${id}`);
// A list of thousands is shown around the selected one.
const MOST_ROWS = 160;
const PACE_DECISIONS = 20;
const decided = [];

export function showCard(player) {
  const item = selectedItem();
  const behaviour = item && store.behaviours.get(item.behaviour);
  by("card-name").textContent = behaviour?.title ?? "Nothing selected";
  by("card-swatch").style.background = behaviour?.colour ?? "transparent";
  by("card-state").textContent = item ? stateOf(item) : "";
  by("card-state").dataset.state = item?.state ?? "";
  by("card-facts").textContent = item ? [behaviour.body_part, `${(item.end - item.start).toFixed(2)} s`,
    item.score === null ? null : `score ${item.score.toFixed(2)}`].filter(Boolean).join(" · ")
    : store.project?.sources.length ? "Choose one in the timeline, or press N for the next in the queue."
      : "No model has searched these videos: draw with D, or add detections with mmad project add.";
  by("edges").hidden = !item;
  if (item) {
    by("start-text").textContent = clock(item.start, 3);
    by("end-text").textContent = clock(item.end, 3);
  }
  by("accept").disabled = !item || item.state === "accepted";
  by("reject").disabled = !item || item.state === "rejected" || item.detection === null;
  by("relabel").disabled = !item;
  by("split").disabled = !item || !(player.now > item.start && player.now < item.end);
  by("merge").disabled = !item;
  by("delete").disabled = !item || item.state === "open";
  by("undo").disabled = !store.history.undo;
  by("undo").dataset.number = store.history.undo;
  by("redo").disabled = !store.history.redo;
  return item ? spoken(item, behaviour) : "";
}

export function showList(onSelect) {
  const items = shownItems();
  const place = items.findIndex((one) => one.key === store.selected);
  const from = Math.max(0, Math.min(place - MOST_ROWS / 2, items.length - MOST_ROWS));
  const rows = items.slice(from, from + MOST_ROWS).map((item) => {
    const behaviour = store.behaviours.get(item.behaviour);
    const row = document.createElement("div");
    row.id = `row-${item.key}`;
    row.className = `item is-${item.state}`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(item.key === store.selected));
    row.setAttribute("aria-label", spoken(item, behaviour));
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = behaviour.colour;
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = behaviour.title;
    const when = document.createElement("span");
    when.className = "when";
    when.textContent = `${clock(item.start)} · ${item.score === null ? "drawn" : item.score.toFixed(2)}`;
    row.append(swatch, name, when);
    row.addEventListener("click", () => onSelect(item));
    return row;
  });
  const list = by("list");
  list.replaceChildren(...rows);
  by("list-title").textContent = `In this video: ${items.length}`;
  const chosen = list.querySelector("[aria-selected=true]");
  list.setAttribute("aria-activedescendant", chosen?.id ?? "");
  if (chosen) {
    const top = chosen.offsetTop - list.offsetTop;
    if (top < list.scrollTop || top + chosen.offsetHeight > list.scrollTop + list.clientHeight) {
      list.scrollTop = top - list.clientHeight / 2;
    }
  }
}

export function noteDecision() {
  decided.push(performance.now());
  if (decided.length > PACE_DECISIONS) decided.shift();
}

export function showProgress({ progress, total }) {
  const sum = (place) => progress.reduce((all, row) => all + row[place], 0);
  const [open, done] = [sum(1), sum(2) + sum(3)];
  by("done-bar").value = open + done ? done / (open + done) : 0;
  by("done-text").textContent = `${done} decided, ${open} left`;
  by("left-text").textContent = total === 1 ? "1 waits" : `${total} wait`;
  const hours = decided.length > 4 ? (decided[decided.length - 1] - decided[0]) / 3.6e6 : 0;
  by("pace").textContent = hours ? `${Math.round((decided.length - 1) / hours)} an hour` : "";
  const rows = new Map(progress.map((row) => [row[0], row]));
  for (const option of by("video-pick").options) {
    const video = store.videos.get(Number(option.value));
    const waiting = rows.get(video.id)?.[1] ?? 0;
    option.textContent = `${video.name} (${video.problem ?? `${waiting} open`})`;
  }
}
