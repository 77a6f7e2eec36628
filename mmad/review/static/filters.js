// What the person can choose from: videos, and the filters of queue, list and timeline.

import { itemsChanged, store } from "./store.js";

const by = (id) => document.querySelector(`#${id}`);

// May be called again once the project has changed.
export function fillChoices() {
  by("project-name").textContent = store.project.name;
  document.title = `${store.project.name} · mmad review`;
  by("video-pick").replaceChildren(...store.project.videos.map((one) => new Option(one.name, String(one.id))));
  if (store.video) by("video-pick").value = String(store.video.id);
  const parts = new Map();
  for (const one of store.behaviours.values()) {
    if (!parts.has(one.body_part)) parts.set(one.body_part, []);
    parts.get(one.body_part).push(new Option(one.title, String(one.id)));
  }
  const chosen = by("behaviour").value;
  by("behaviour").replaceChildren(new Option("all", ""));
  for (const [part, options] of parts) {
    if (!part) by("behaviour").append(...options);
    else {
      const group = document.createElement("optgroup");
      group.label = part;
      group.append(new Option(`all of ${part}`, `part:${part}`), ...options);
      by("behaviour").append(group);
    }
  }
  by("behaviour").value = chosen;
}

// Begin with the lowest score at which a look is worthwhile, until the person chooses another.
let hasChosen = false;
export function suggestScore() {
  const least = store.project.sources.at(-1)?.least_score;
  if (hasChosen || typeof least !== "number") return;
  store.filter.min = least;
  by("min-score").value = String(least);
  by("min-text").textContent = least.toFixed(2);
  itemsChanged();
}

// A box for each other person whose decisions the server shows.
export function fillPeople(onFilter) {
  const names = store.project.shows_others ? Object.keys(store.others) : [];
  const boxes = names.map((name) => {
    const [label, box] = ["label", "input"].map((tag) => document.createElement(tag));
    box.type = "checkbox";
    box.checked = store.filter.people.has(name);
    box.addEventListener("change", () => {
      if (box.checked) store.filter.people.add(name);
      else store.filter.people.delete(name);
      onFilter();
    });
    label.append(box, ` ${name}`);
    return label;
  });
  by("people").replaceChildren(by("people").firstElementChild, ...boxes);
  by("people").hidden = !names.length;
}

export function listenToFilters({ onFilter, onOrder }) {
  const filtered = () => {
    itemsChanged();
    onFilter();
  };
  by("order").addEventListener("change", (event) => onOrder(event.target.value));
  by("behaviour").addEventListener("change", (event) => {
    const chosen = event.target.value;
    const all = [...store.behaviours.values()];
    store.filter.behaviours = !chosen ? null : new Set(chosen.startsWith("part:")
      ? all.filter((one) => one.body_part === chosen.slice(5)).map((one) => one.id) : [Number(chosen)]);
    filtered();
  });
  for (const edge of ["min", "max"]) {
    by(`${edge}-score`).addEventListener("input", (event) => {
      hasChosen = true;
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
  return filtered;
}
