// The items of the video as text: only the rows in sight are in the page, so that thousands cost
// nothing. A screen reader hears the place of each row among all.

import { itemsVersion, shownItems, store } from "./store.js";
import { clock, spoken } from "./words.js";

const SPARE_ROWS = 8;

export class List {
  constructor(onSelect) {
    this.box = document.querySelector("#list");
    this.rows = document.querySelector("#list-rows");
    this.title = document.querySelector("#list-title");
    this.onSelect = onSelect;
    this.made = new Map();
    this.box.addEventListener("scroll", () => this.fill(), { passive: true });
    new ResizeObserver(() => this.measure()).observe(this.box);
    this.measure();
  }

  measure() {
    const height = parseFloat(getComputedStyle(this.box).getPropertyValue("--row"));
    this.boxHeight = this.box.clientHeight;
    if (height !== this.rowHeight) {
      this.rowHeight = height;
      this.version = null;
      if (this.items) this.show();
    }
    this.fill();
  }

  show() {
    if (this.version !== itemsVersion()) {
      this.version = itemsVersion();
      this.items = shownItems();
      this.places = new Map(this.items.map((one, place) => [one.key, place]));
      this.made.clear();
      this.rows.replaceChildren();
      this.title.textContent = `In this video: ${this.items.length}`;
    }
    this.rows.style.height = `${this.items.length * this.rowHeight}px`;
    const place = this.places.get(store.selected);
    if (place !== undefined && store.selected !== this.selected) this.scrollTo(place);
    this.made.get(this.selected)?.setAttribute("aria-selected", "false");
    this.selected = store.selected;
    this.fill();
    this.made.get(this.selected)?.setAttribute("aria-selected", "true");
    this.box.setAttribute("aria-activedescendant", place === undefined ? "" : `row-${store.selected}`);
  }

  scrollTo(place) {
    const top = place * this.rowHeight;
    const { scrollTop } = this.box;
    if (top < scrollTop || top + this.rowHeight > scrollTop + this.boxHeight) this.box.scrollTop = top - this.boxHeight / 2;
  }

  fill() {
    if (!this.items) return;
    const { scrollTop } = this.box;
    const from = Math.max(0, Math.floor(scrollTop / this.rowHeight) - SPARE_ROWS);
    const wanted = this.items.slice(from, Math.ceil((scrollTop + this.boxHeight) / this.rowHeight) + SPARE_ROWS);
    const keys = new Set(wanted.map((one) => one.key));
    for (const [key, row] of this.made) {
      if (keys.has(key)) continue;
      row.remove();
      this.made.delete(key);
    }
    wanted.forEach((item, place) => {
      if (this.made.has(item.key)) return;
      const row = this.row(item, from + place);
      this.made.set(item.key, row);
      this.rows.append(row);
    });
  }

  row(item, place) {
    const behaviour = store.behaviours.get(item.behaviour);
    const [row, swatch, name, when] = ["div", "span", "span", "span"].map((tag) => document.createElement(tag));
    row.id = `row-${item.key}`;
    row.className = `item is-${item.state}`;
    row.style.top = `${place * this.rowHeight}px`;
    const facts = {
      role: "option", "aria-selected": String(item.key === store.selected), "aria-label": spoken(item, behaviour),
      "aria-posinset": place + 1, "aria-setsize": this.items.length,
    };
    for (const [key, value] of Object.entries(facts)) row.setAttribute(key, value);
    swatch.className = "swatch";
    swatch.style.background = behaviour.colour;
    name.className = "name";
    name.textContent = behaviour.title;
    when.className = "when";
    when.textContent = `${clock(item.start)} · ${item.annotator ?? (item.score === null ? "drawn" : item.score.toFixed(2))}`;
    row.append(swatch, name, when);
    row.addEventListener("click", () => this.onSelect(item));
    return row;
  }
}
