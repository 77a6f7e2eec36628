// Questions to the person: who decides, which behaviour.

import { post } from "./api.js";
import { addBehaviour, store } from "./store.js";

const by = (id) => document.querySelector(`#${id}`);

export function askWho(given) {
  const dialog = by("who-dialog");
  by("who-list").replaceChildren(...store.project.annotators.map((name) => new Option(name, name)));
  by("who-name").value = given;
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("cancel", (event) => !store.annotator && event.preventDefault());
    dialog.addEventListener("close", () => resolve(by("who-name").value.trim() || null), { once: true });
  });
}

export function showKeys() {
  by("help-dialog").showModal();
}

// The number of a behaviour that the person chooses, or null; `current` is marked.
export function askBehaviour(title, current = null) {
  const [dialog, search, list, newer] = ["label-dialog", "label-search", "label-list", "label-new"].map(by);
  by("label-title").textContent = title;
  let found = [];
  let place = 0;
  const recent = [...store.instances.values()].map((one) => one.behaviour);
  const times = new Map();
  recent.forEach((one) => times.set(one, (times.get(one) ?? 0) + 1));

  function show() {
    const word = search.value.trim().toLowerCase();
    found = [...store.behaviours.values()].filter((one) => one.is_active
      && (!word || `${one.code ?? ""} ${one.name} ${one.body_part ?? ""}`.toLowerCase().includes(word)));
    // A code or a name that begins so comes first; without a word, what was used before.
    const rank = (one) => (word ? Number(!(one.code?.toLowerCase() === word))
      + Number(!one.name.toLowerCase().startsWith(word)) : -(times.get(one.id) ?? 0));
    found.sort((a, b) => rank(a) - rank(b) || a.place - b.place);
    place = Math.max(0, Math.min(place, found.length - 1));
    list.replaceChildren(...found.map((one, index) => {
      const row = document.createElement("div");
      row.id = `label-${one.id}`;
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", String(index === place));
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      swatch.style.background = one.colour;
      const part = document.createElement("span");
      part.className = "part";
      part.textContent = one.id === current ? "now" : one.body_part ?? "";
      row.append(swatch, document.createTextNode(one.title), part);
      row.addEventListener("click", () => close(one.id));
      return row;
    }));
    list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
    search.setAttribute("aria-activedescendant", found.length ? `label-${found[place].id}` : "");
    newer.hidden = !word || found.some((one) => one.name.toLowerCase() === word);
    newer.textContent = `Add “${search.value.trim()}”`;
  }

  let close = () => {};
  search.value = "";
  show();
  dialog.showModal();
  search.focus();
  return new Promise((resolve, reject) => {
    const stop = new AbortController();
    const { signal } = stop;
    close = (value) => {
      stop.abort();
      dialog.close();
      resolve(value);
    };
    search.addEventListener("input", () => { place = 0; show(); }, { signal });
    search.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        place += event.key === "ArrowDown" ? 1 : -1;
        show();
      } else if (event.key === "Enter") {
        event.preventDefault();
        if (found.length) close(found[place].id);
        else if (!newer.hidden) newer.click();
      }
    }, { signal });
    newer.addEventListener("click", async () => {
      try {
        const added = await post("/api/behaviours", { name: search.value.trim() });
        addBehaviour(added);
        close(added.id);
      } catch (problem) {
        close(null);
        reject(problem);
      }
    }, { signal });
    dialog.addEventListener("close", () => { stop.abort(); resolve(null); }, { signal });
  });
}
