// The timeline: a head with the times, the film strip, what was reviewed and the row for new ones, and
// below it a lane for each behaviour. All is drawn on two canvases of the size that is seen, and only
// what is in view, so that thousands of detections stay fluent.

import { itemsVersion, selectedItem, shownItems, store } from "../store.js";
import { Curves } from "./curves.js";
import { paintBody, paintHead } from "./paint.js";
import { listenToPointers } from "./pointing.js";
import { FilmStrip } from "./strip.js";

const LEAST_SECONDS = 0.2;
const NARROW = 640;
const COLOURS = ["ink", "soft", "line", "paper", "panel", "stripe", "accent", "grid", "chosen", "yes"];

export class Timeline {
  constructor(on) {
    this.root = document.querySelector("#timeline");
    this.head = document.querySelector("#head");
    this.body = document.querySelector("#body");
    this.box = document.querySelector("#lanes");
    this.whole = document.querySelector("#lanes-height");
    this.playhead = document.querySelector("#playhead");
    this.on = on; // onSeek, onSelect, onEdge, onDraw, onReviewed
    this.view = [0, 1];
    this.duration = 1;
    this.now = 0;
    this.lanes = [];
    this.places = new Map();
    this.items = new Map(); // of each behaviour, by start
    this.drawn = null; // [start, end] of what is being drawn
    this.marked = null; // [start, end, is reviewed] of what is being marked
    this.snap = (seconds) => seconds;
    this.repeated = () => null; // [start, end] of what is played again and again
    this.width = 0;
    this.strip = new FilmStrip(() => this.redrawHead());
    this.curves = new Curves(() => this.redrawBody());
    new ResizeObserver(() => this.measure()).observe(this.root);
    new ResizeObserver(() => this.measure()).observe(this.box);
    this.box.addEventListener("scroll", () => this.redrawBody(), { passive: true });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.measure());
    this.cancel = listenToPointers(this);
  }

  // Sizes and colours, which would be slow to ask for at each frame.
  measure() {
    this.width = this.root.clientWidth;
    this.boxHeight = this.box.clientHeight;
    const style = getComputedStyle(document.documentElement);
    this.colours = Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    this.font = getComputedStyle(document.body).fontFamily;
    const isNarrow = this.width < NARROW;
    this.gutter = isNarrow ? 0 : 176;
    this.laneHeight = isNarrow ? 48 : 34;
    // Nothing is marked as reviewed while suggestions are hidden.
    const [ruler, strip, reviewed, fresh] = isNarrow ? [24, 44, 28, 28] : [22, 46, 20, 24];
    this.rows = rowsOf([ruler, strip, store.hides ? 0 : reviewed, fresh]);
    this.headHeight = this.rows.fresh[0] + this.rows.fresh[1];
    this.redraw();
  }

  open(number, duration) {
    this.duration = duration;
    this.view = [0, duration];
    this.cancel();
    this.strip.open(number);
    this.curves.open(number);
    this.redraw();
  }

  x(seconds) {
    const [from, to] = this.view;
    return this.gutter + ((seconds - from) / (to - from)) * (this.width - this.gutter);
  }

  time(x) {
    const [from, to] = this.view;
    return from + ((x - this.gutter) / (this.width - this.gutter)) * (to - from);
  }

  look(from, to) {
    const length = Math.min(this.duration, Math.max(LEAST_SECONDS, to - from));
    this.show((from + to - length) / 2, length);
  }

  zoom(factor, at = (this.view[0] + this.view[1]) / 2) {
    const [from, to] = this.view;
    const length = Math.min(this.duration, Math.max(LEAST_SECONDS, (to - from) * factor));
    this.show(at - ((at - from) / (to - from)) * length, length);
  }

  pan(seconds) {
    const [from, to] = this.view;
    this.show(from + seconds, to - from);
  }

  show(from, length) {
    const start = Math.max(0, Math.min(this.duration - length, from));
    this.view = [start, start + length];
    this.redraw();
  }

  // Around a stretch, so that it takes about a third of the width.
  focus(start, end) {
    const margin = Math.max(end - start, 1);
    this.look(start - margin, end + margin);
  }

  showSelected() {
    const item = selectedItem();
    if (!item) return;
    this.sort();
    const lane = this.places.get(item.behaviour);
    const top = lane * this.laneHeight;
    if (lane >= 0 && (top < this.box.scrollTop || top + this.laneHeight > this.box.scrollTop + this.boxHeight)) {
      this.box.scrollTop = Math.max(0, top - this.boxHeight / 2);
    }
  }

  at(seconds) {
    this.now = seconds;
    const x = this.x(seconds);
    this.playhead.hidden = x < this.gutter - 1 || x > this.width + 1;
    this.playhead.style.transform = `translateX(${x}px)`;
  }

  // Keep the playhead in view while the video plays.
  follow() {
    const [from, to] = this.view;
    if (this.now > to) this.pan(this.now - from);
    else if (this.now < from) this.pan(this.now - to);
  }

  redraw() {
    this.redrawHead();
    this.redrawBody();
  }

  redrawHead() {
    this.isHeadDirty = true;
    this.request();
  }

  redrawBody() {
    this.isBodyDirty = true;
    this.request();
  }

  request() {
    if (this.requested) return;
    this.requested = true;
    requestAnimationFrame(() => {
      this.requested = false;
      if (this.width && this.colours) this.paint();
    });
  }

  // The lanes and the items of each, sorted anew only when they have changed.
  sort() {
    if (this.version === itemsVersion() && this.behaviours === store.behaviours) return;
    this.version = itemsVersion();
    this.behaviours = store.behaviours;
    this.items = new Map();
    for (const one of shownItems()) {
      if (!this.items.has(one.behaviour)) this.items.set(one.behaviour, []);
      this.items.get(one.behaviour).push(one);
    }
    for (const items of this.items.values()) items.longest = Math.max(...items.map((one) => one.end - one.start));
    const asked = store.filter.behaviours;
    const curves = new Set(this.curves.isOn ? this.curves.behaviours : []);
    this.lanes = [...store.behaviours?.values() ?? []].map((one) => one.id)
      .filter((id) => this.items.has(id) || (asked?.has(id) && curves.has(id)));
    this.places = new Map(this.lanes.map((id, place) => [id, place]));
    this.whole.style.height = `${Math.max(1, this.lanes.length) * this.laneHeight}px`;
  }

  paint() {
    this.sort();
    if (this.isHeadDirty) paintHead(this, this.pen(this.head, this.headHeight));
    if (this.isBodyDirty) paintBody(this, this.pen(this.body, Math.max(this.laneHeight, this.boxHeight)));
    this.isHeadDirty = this.isBodyDirty = false;
    this.at(this.now);
  }

  pen(canvas, height) {
    const scale = devicePixelRatio || 1;
    const size = [Math.round(this.width * scale), Math.round(height * scale)];
    const pen = canvas.getContext("2d");
    if (canvas.width !== size[0] || canvas.height !== size[1]) {
      [canvas.width, canvas.height] = size;
      canvas.style.height = `${height}px`;
    }
    this.prepare(pen, scale);
    pen.clearRect(0, 0, this.width, height);
    return pen;
  }

  prepare(pen, scale) {
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.font = `12px ${this.font}`;
    pen.textBaseline = "middle";
    return pen;
  }
}

// Top and height of each row of the head.
function rowsOf([ruler, strip, reviewed, fresh]) {
  return {
    ruler: [0, ruler],
    strip: [ruler, strip],
    reviewed: [ruler + strip, reviewed],
    fresh: [ruler + strip + reviewed, fresh],
  };
}
