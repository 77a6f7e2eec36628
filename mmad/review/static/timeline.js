// The timeline: a lane for each behaviour, drawn on canvases so that thousands of detections stay
// fluent. The head has the times and the row in which new ones are drawn; the body the lanes.

import { selectedItem, shownItems, store } from "./store.js";
import { clock } from "./words.js";

const RULER = 24;
const NEW_ROW = 26;
const LEAST_SECONDS = 0.2;
const NARROW = 640;
const HANDLE = { mouse: 6, pen: 8, touch: 18 };
const STEPS = [0.04, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

export class Timeline {
  constructor({ onSeek, onSelect, onEdge, onDraw }) {
    this.root = document.querySelector("#timeline");
    this.head = document.querySelector("#head");
    this.body = document.querySelector("#body");
    this.playhead = document.querySelector("#playhead");
    this.on = { onSeek, onSelect, onEdge, onDraw };
    this.view = [0, 1];
    this.duration = 1;
    this.now = 0;
    this.lanes = [];
    this.drawn = null; // [start, end] of what is being drawn
    this.snap = (seconds) => seconds;
    this.pointers = new Map();
    this.dirty = false;
    new ResizeObserver(() => this.redraw()).observe(this.root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    for (const canvas of [this.head, this.body]) {
      canvas.addEventListener("pointerdown", (event) => this.down(event, canvas));
      canvas.addEventListener("pointermove", (event) => this.move(event, canvas));
      canvas.addEventListener("pointerup", (event) => this.up(event, canvas));
      canvas.addEventListener("pointercancel", (event) => this.cancel(event));
      canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    }
  }

  open(duration) {
    this.duration = duration;
    this.view = [0, duration];
    this.cancel();
    this.redraw();
  }

  get gutter() {
    return this.width < NARROW ? 0 : 176;
  }

  get laneHeight() {
    return this.width < NARROW ? 44 : 30;
  }

  get width() {
    return this.root.clientWidth;
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
    const start = Math.max(0, Math.min(this.duration - length, (from + to - length) / 2));
    this.view = [start, start + length];
    this.redraw();
  }

  zoom(factor, at = (this.view[0] + this.view[1]) / 2) {
    const [from, to] = this.view;
    const length = Math.min(this.duration, Math.max(LEAST_SECONDS, (to - from) * factor));
    const share = (at - from) / (to - from);
    const start = Math.max(0, Math.min(this.duration - length, at - share * length));
    this.view = [start, start + length];
    this.redraw();
  }

  pan(seconds) {
    const [from, to] = this.view;
    const start = Math.max(0, Math.min(this.duration - (to - from), from + seconds));
    this.view = [start, start + to - from];
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
    const lane = this.lanes.indexOf(item.behaviour);
    const box = document.querySelector("#lanes");
    const top = lane * this.laneHeight;
    if (lane >= 0 && (top < box.scrollTop || top + this.laneHeight > box.scrollTop + box.clientHeight)) {
      box.scrollTop = Math.max(0, top - box.clientHeight / 2);
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
    if (this.dirty) return;
    this.dirty = true;
    requestAnimationFrame(() => {
      this.dirty = false;
      if (this.width) this.paint();
    });
  }

  paint() {
    const style = getComputedStyle(document.documentElement);
    this.colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const items = shownItems();
    const used = new Set(items.map((one) => one.behaviour));
    this.lanes = [...store.behaviours?.values() ?? []].filter((one) => used.has(one.id)).map((one) => one.id);
    this.places = new Map(this.lanes.map((id, place) => [id, place]));
    this.items = items;
    this.paintHead();
    this.paintBody();
    this.at(this.now);
  }

  size(canvas, height) {
    const scale = devicePixelRatio || 1;
    canvas.width = Math.round(this.width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    pen.textBaseline = "middle";
    return pen;
  }

  grid(pen, height, draws) {
    const [from, to] = this.view;
    const perPixel = (to - from) / Math.max(1, this.width - this.gutter);
    const step = STEPS.find((one) => one / perPixel >= 76) ?? STEPS[STEPS.length - 1];
    pen.fillStyle = this.colour("grid");
    for (let place = Math.ceil(from / step); place * step <= to; place++) {
      const x = Math.round(this.x(place * step));
      pen.fillRect(x, 0, 1, height);
      draws?.(x, place * step, step);
    }
  }

  paintHead() {
    const pen = this.size(this.head, RULER + NEW_ROW);
    const soft = this.colour("soft");
    this.grid(pen, RULER, (x, seconds, step) => {
      pen.fillStyle = soft;
      pen.fillText(clock(seconds, step < 1 ? 2 : 0), x + 4, RULER / 2);
      pen.fillStyle = this.colour("grid");
    });
    pen.fillStyle = this.colour("paper");
    pen.fillRect(0, RULER, this.width, NEW_ROW);
    pen.fillStyle = soft;
    const hint = this.width < NARROW ? "new: drag here" : "drag here to draw a new one";
    pen.fillText("new", 10, RULER + NEW_ROW / 2);
    if (!this.drawn) {
      pen.globalAlpha = 0.75;
      pen.fillText(hint, this.gutter ? this.gutter + 10 : 44, RULER + NEW_ROW / 2);
      pen.globalAlpha = 1;
      return;
    }
    const [start, end] = this.drawn.map((one) => this.x(one));
    pen.fillStyle = this.colour("accent");
    pen.fillRect(Math.min(start, end), RULER + 4, Math.max(2, Math.abs(end - start)), NEW_ROW - 8);
  }

  paintBody() {
    const height = Math.max(1, this.lanes.length) * this.laneHeight;
    const pen = this.size(this.body, height);
    const lane = this.laneHeight;
    for (let place = 1; place < this.lanes.length; place += 2) {
      pen.fillStyle = this.colour("stripe");
      pen.fillRect(0, place * lane, this.width, lane);
    }
    this.grid(pen, height);
    pen.save();
    pen.beginPath();
    pen.rect(this.gutter, 0, this.width - this.gutter, height);
    pen.clip();
    const [from, to] = this.view;
    const seen = this.items.filter((one) => one.end >= from && one.start <= to);
    const order = { open: 0, rejected: 1, accepted: 2 };
    seen.sort((a, b) => order[a.state] - order[b.state] || (a.score ?? 1) - (b.score ?? 1));
    const chosen = seen.find((one) => one.key === store.selected);
    for (const one of seen) if (one !== chosen) this.bar(pen, one, false);
    const selected = selectedItem();
    if (selected && this.places.has(selected.behaviour)) this.bar(pen, selected, true);
    pen.restore();
    this.names(pen, lane, height);
    if (!this.lanes.length) {
      pen.fillStyle = this.colour("soft");
      pen.fillText("Nothing to show here with this filter.", this.gutter + 10, lane / 2);
    }
  }

  names(pen, lane, height) {
    if (this.gutter) {
      pen.fillStyle = this.colour("panel");
      pen.fillRect(0, 0, this.gutter, height);
    }
    this.lanes.forEach((id, place) => {
      const { title, colour } = store.behaviours.get(id);
      const y = this.gutter ? place * lane + lane / 2 : place * lane + 8;
      pen.fillStyle = colour;
      pen.fillRect(0, place * lane + 1, 4, lane - 2);
      pen.fillStyle = this.colour(this.gutter ? "ink" : "soft");
      if (!this.gutter) pen.font = pen.font.replace("12px", "11px");
      const room = (this.gutter || this.width) - 16;
      let text = title;
      while (text.length > 4 && pen.measureText(text).width > room) text = `${text.slice(0, -2)}…`;
      pen.fillText(text, 10, y);
    });
  }

  // One item: how it stands tells who said it; the thin line below is the model's own times.
  bar(pen, one, isSelected) {
    const lane = this.laneHeight;
    const top = this.places.get(one.behaviour) * lane + (this.gutter ? 4 : 16);
    const height = this.gutter ? lane - 12 : lane - 24;
    const { colour } = store.behaviours.get(one.behaviour);
    const x = this.x(one.start);
    const width = Math.max(2, this.x(one.end) - x);
    const round = Math.min(4, width / 2);
    const found = store.detections.get(one.detection);
    if (found) {
      const from = this.x(found.start);
      pen.globalAlpha = 0.35 + 0.65 * found.score;
      pen.fillStyle = colour;
      pen.fillRect(from, top + height + 2, Math.max(2, this.x(found.end) - from), 3);
    }
    pen.beginPath();
    pen.roundRect(x, top, width, height, round);
    pen.globalAlpha = one.state === "accepted" ? 1 : one.state === "open" ? 0.12 + 0.4 * (one.score ?? 0) : 0;
    pen.fillStyle = colour;
    pen.fill();
    pen.globalAlpha = one.state === "rejected" ? 0.7 : 1;
    pen.strokeStyle = one.state === "rejected" ? this.colour("soft") : colour;
    pen.lineWidth = 1.3;
    pen.setLineDash(one.state === "open" ? [4, 3] : []);
    if (width > 3) pen.stroke();
    pen.setLineDash([]);
    if (one.state === "rejected" && width > 6) {
      pen.beginPath();
      pen.moveTo(x + 2, top + height - 2);
      pen.lineTo(x + width - 2, top + 2);
      pen.stroke();
    }
    if (one.state === "accepted" && width > 16) {
      pen.strokeStyle = "#fff";
      pen.lineWidth = 2;
      pen.beginPath();
      const y = top + height / 2;
      pen.moveTo(x + 5, y);
      pen.lineTo(x + 8, y + 3);
      pen.lineTo(x + 13, y - 4);
      pen.stroke();
    }
    pen.globalAlpha = 1;
    if (!isSelected) return;
    pen.strokeStyle = this.colour("chosen");
    pen.lineWidth = 2.5;
    pen.beginPath();
    pen.roundRect(x - 2, top - 2, width + 4, height + 4, round + 2);
    pen.stroke();
    pen.fillStyle = this.colour("chosen");
    for (const edge of [x, x + width]) {
      pen.beginPath();
      pen.roundRect(edge - 3, top + 1, 6, height - 2, 2);
      pen.fill();
    }
  }

  place(event, canvas) {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  // Whether a point is at an edge of the selected item: "start", "end" or null.
  edgeAt(x, y, kind) {
    const item = selectedItem();
    if (!item || !this.places?.has(item.behaviour)) return null;
    if (Math.floor(y / this.laneHeight) !== this.places.get(item.behaviour)) return null;
    const reach = HANDLE[kind] ?? HANDLE.mouse;
    const [start, end] = [this.x(item.start), this.x(item.end)];
    const distances = [["start", x - start], ["end", x - end]];
    // Between the edges of a short one, the nearer edge; the middle stays for selecting.
    const near = distances.filter(([, far]) => Math.abs(far) <= reach).sort((a, b) => Math.abs(a[1]) - Math.abs(b[1]));
    return near[0]?.[0] ?? null;
  }

  itemAt(x, y) {
    const behaviour = this.lanes[Math.floor(y / this.laneHeight)];
    const found = this.items.filter((one) => one.behaviour === behaviour
      && this.x(one.start) - 4 <= x && x <= Math.max(this.x(one.end), this.x(one.start) + 2) + 4);
    if (!found.length) return null;
    found.sort((a, b) => (a.end - a.start) - (b.end - b.start));
    const place = found.findIndex((one) => one.key === store.selected);
    return found[(place + 1) % found.length];
  }

  down(event, canvas) {
    if (event.button > 0 || !store.video) return;
    const [x, y] = this.place(event, canvas);
    this.pointers.set(event.pointerId, [x, y]);
    canvas.setPointerCapture(event.pointerId);
    if (this.pointers.size === 2) {
      const [a, b] = [...this.pointers.values()];
      this.gesture = { kind: "pinch", distance: Math.max(10, Math.abs(a[0] - b[0])) };
      return;
    }
    const edge = canvas === this.body ? this.edgeAt(x, y, event.pointerType) : null;
    if (edge) this.gesture = { kind: "edge", edge, x, grab: this.time(x) - selectedItem()[edge], moved: false };
    else if (canvas === this.head && y > RULER) {
      const start = this.snap(this.time(Math.max(x, this.gutter)));
      this.gesture = { kind: "draw", start };
    } else if (canvas === this.head) {
      this.gesture = { kind: "scrub" };
      this.on.onSeek(this.time(x));
    } else this.gesture = { kind: "press", x, y, last: x, moved: false };
  }

  move(event, canvas) {
    const [x, y] = this.place(event, canvas);
    const { gesture } = this;
    if (!this.pointers.has(event.pointerId)) {
      const edge = canvas === this.body ? this.edgeAt(x, y, event.pointerType) : null;
      canvas.style.cursor = edge ? "ew-resize" : canvas === this.head && y > RULER ? "crosshair" : "pointer";
      return;
    }
    this.pointers.set(event.pointerId, [x, y]);
    if (gesture?.kind === "pinch") {
      const [a, b] = [...this.pointers.values()];
      const distance = Math.max(10, Math.abs(a[0] - b[0]));
      this.zoom(gesture.distance / distance, this.time((a[0] + b[0]) / 2));
      gesture.distance = distance;
    } else if (gesture?.kind === "edge") {
      gesture.moved ||= Math.abs(x - gesture.x) > 2;
      if (gesture.moved) this.on.onEdge(gesture.edge, this.time(x) - gesture.grab, false);
    } else if (gesture?.kind === "draw") {
      this.drawn = [gesture.start, this.snap(this.time(x))];
      this.on.onSeek(this.time(x));
      this.redraw();
    } else if (gesture?.kind === "scrub") {
      this.on.onSeek(this.time(x));
    } else if (gesture?.kind === "press") {
      gesture.moved ||= Math.abs(x - gesture.x) > 4;
      if (gesture.moved) this.pan(this.time(gesture.last) - this.time(x));
      gesture.last = x;
    }
  }

  up(event, canvas) {
    if (!this.pointers.delete(event.pointerId)) return;
    const [x, y] = this.place(event, canvas);
    const { gesture } = this;
    this.gesture = null;
    if (gesture?.kind === "edge") {
      this.on.onEdge(gesture.edge, gesture.moved ? this.time(x) - gesture.grab : null, true);
    } else if (gesture?.kind === "draw" && this.drawn) {
      const [start, end] = [...this.drawn].sort((a, b) => a - b);
      this.drawn = null;
      this.redraw();
      if (end > start) this.on.onDraw(start, end);
    } else if (gesture?.kind === "press" && !gesture.moved) {
      const item = this.itemAt(x, y);
      if (item) this.on.onSelect(item);
      else if (x >= this.gutter) this.on.onSeek(this.time(x));
    }
  }

  cancel(event) {
    if (event) this.pointers.delete(event.pointerId);
    else this.pointers.clear();
    const { gesture } = this;
    this.gesture = this.drawn = null;
    if (gesture?.kind === "edge") this.on.onEdge(gesture.edge, null, true);
    this.redraw();
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey && Math.abs(event.deltaY) >= Math.abs(event.deltaX)) return;
    event.preventDefault();
    const [x] = this.place(event, this.body);
    if (event.ctrlKey || event.metaKey) this.zoom(Math.exp(event.deltaY * 0.004), this.time(x));
    else {
      const pixels = event.deltaX || event.deltaY;
      this.pan((pixels / this.width) * (this.view[1] - this.view[0]));
    }
  }
}
