// What the timeline looks like.

import { selectedItem, store } from "../store.js";
import { clock } from "../words.js";

const STEPS = [0.04, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
const OTHERS_ROOM = 9;

function grid(timeline, pen, top, height, draws) {
  const [from, to] = timeline.view;
  const perPixel = (to - from) / Math.max(1, timeline.width - timeline.gutter);
  const step = STEPS.find((one) => one / perPixel >= 76) ?? STEPS[STEPS.length - 1];
  pen.fillStyle = timeline.colours.grid;
  for (let place = Math.ceil(from / step); place * step <= to; place++) {
    const x = Math.round(timeline.x(place * step));
    pen.fillRect(x, top, 1, height);
    draws?.(x, place * step, step);
  }
}

export function paintHead(timeline, pen) {
  const { colours, gutter, headHeight, rows, width } = timeline;
  grid(timeline, pen, 0, rows.ruler[1], (x, seconds, step) => {
    pen.fillStyle = colours.soft;
    pen.fillText(clock(seconds, step < 1 ? 2 : 0), x + 4, rows.ruler[1] / 2);
    pen.fillStyle = colours.grid;
  });
  pen.save();
  pen.beginPath();
  pen.rect(gutter, 0, width - gutter, headHeight);
  pen.clip();
  const repeated = timeline.repeated();
  if (repeated) {
    const [start, end] = repeated.map((one) => timeline.x(one));
    pen.fillStyle = colours.chosen;
    pen.fillRect(start, rows.ruler[1] - 4, Math.max(2, end - start), 3);
  }
  timeline.strip.paint(pen, timeline, ...rows.strip);
  reviewed(timeline, pen);
  fresh(timeline, pen);
  pen.restore();
  if (!gutter) return;
  pen.fillStyle = colours.panel;
  pen.fillRect(0, 0, gutter, headHeight);
  pen.fillStyle = colours.soft;
  pen.fillText("frames", 10, rows.strip[0] + rows.strip[1] / 2);
  if (rows.reviewed[1]) pen.fillText("reviewed", 10, rows.reviewed[0] + rows.reviewed[1] / 2);
  pen.fillText("new", 10, rows.fresh[0] + rows.fresh[1] / 2);
}

function hint(timeline, pen, text, [top, height]) {
  pen.fillStyle = timeline.colours.soft;
  pen.fillText(text, timeline.gutter + 10, top + height / 2);
}

// What the person has looked at: a band, paler where suggestions were hidden.
function reviewed(timeline, pen) {
  const [top, height] = timeline.rows.reviewed;
  const { colours, marked } = timeline;
  if (!height) return;
  pen.fillStyle = colours.stripe;
  pen.fillRect(timeline.gutter, top, timeline.width, height);
  const stretches = [...store.reviewed];
  if (marked?.[2]) stretches.push([...marked.slice(0, 2).sort((a, b) => a - b), false]);
  const band = (start, end, alpha) => {
    const x = timeline.x(start);
    pen.globalAlpha = alpha;
    pen.fillStyle = colours.yes;
    pen.fillRect(x, top + 4, Math.max(2, timeline.x(end) - x), height - 8);
    pen.globalAlpha = 1;
  };
  for (const [start, end, isBlind] of stretches) {
    if (end >= timeline.view[0] && start <= timeline.view[1]) band(start, end, isBlind ? 0.35 : 0.75);
  }
  if (marked && !marked[2]) {
    const [start, end] = marked.slice(0, 2).map((one) => timeline.x(one));
    pen.fillStyle = colours.stripe;
    pen.fillRect(Math.min(start, end), top, Math.abs(end - start), height);
    pen.strokeStyle = colours.soft;
    pen.strokeRect(Math.min(start, end) + 0.5, top + 4.5, Math.abs(end - start), height - 9);
  }
  if (!stretches.length && !marked) {
    hint(timeline, pen, timeline.gutter ? "drag over what you have looked at from start to end" : "reviewed: drag here", timeline.rows.reviewed);
  }
}

function fresh(timeline, pen) {
  const [top, height] = timeline.rows.fresh;
  if (!timeline.drawn) {
    hint(timeline, pen, timeline.gutter ? "drag here to draw a new one" : "new: drag here", timeline.rows.fresh);
    return;
  }
  const [start, end] = timeline.drawn.map((one) => timeline.x(one));
  pen.fillStyle = timeline.colours.accent;
  pen.fillRect(Math.min(start, end), top + 3, Math.max(2, Math.abs(end - start)), height - 6);
}

export function paintBody(timeline, pen) {
  const { colours, gutter, lanes, laneHeight, width } = timeline;
  const scroll = timeline.box.scrollTop;
  const height = Math.max(laneHeight, timeline.boxHeight);
  const first = Math.floor(scroll / laneHeight);
  const last = Math.min(lanes.length - 1, Math.floor((scroll + height) / laneHeight));
  const selected = selectedItem();
  const kept = keptLanes(timeline, selected);
  pen.save();
  pen.translate(0, -scroll);
  for (let place = first; place <= last; place++) {
    if (kept) pen.drawImage(keptLane(timeline, kept, place, selected), 0, place * laneHeight, width, laneHeight);
    else lane(timeline, pen, place, selected);
  }
  pen.beginPath();
  pen.rect(gutter, scroll, width - gutter, height);
  pen.clip();
  if (selected && timeline.places.has(selected.behaviour)) bar(timeline, pen, selected, true);
  pen.restore();
  if (lanes.length) return;
  pen.fillStyle = colours.soft;
  pen.fillText(store.hides ? `Draw what you see: ${gutter ? "press D, or " : ""}drag in the row above.` : "Nothing to show here with this filter.", gutter + 10, laneHeight / 2);
}

// While only the selected item, the playhead or the scrolling changes, each lane is drawn once.
function keptLanes(timeline, selected) {
  const { colours, curves, version, view, width } = timeline;
  const facts = [...view, version, width, devicePixelRatio, selected?.key, colours.paper, curves.isOn, curves.number, curves.levels.size];
  const key = facts.join(" ");
  if (timeline.keptKey === key) return (timeline.kept ??= new Map());
  timeline.keptKey = key;
  timeline.kept = null;
  return null;
}

function keptLane(timeline, kept, place, selected) {
  if (!kept.has(place)) {
    const scale = devicePixelRatio || 1;
    const canvas = new OffscreenCanvas(Math.round(timeline.width * scale), Math.round(timeline.laneHeight * scale));
    const pen = timeline.prepare(canvas.getContext("2d"), scale);
    pen.translate(0, -place * timeline.laneHeight);
    lane(timeline, pen, place, selected);
    kept.set(place, canvas);
  }
  return kept.get(place);
}

function lane(timeline, pen, place, selected) {
  const { colours, gutter, lanes, laneHeight, width } = timeline;
  const top = place * laneHeight;
  if (place % 2) {
    pen.fillStyle = colours.stripe;
    pen.fillRect(0, top, width, laneHeight);
  }
  grid(timeline, pen, top, laneHeight);
  pen.save();
  pen.beginPath();
  pen.rect(gutter, top, width - gutter, laneHeight);
  pen.clip();
  bars(timeline, pen, lanes[place], top, selected);
  pen.restore();
  name(timeline, pen, lanes[place], top);
}

const ORDER = ["settled", "open", "rejected", "accepted"];

function bars(timeline, pen, id, top, selected) {
  timeline.curves.paint(pen, timeline, store.behaviours.get(id), top + 2, timeline.laneHeight - 3);
  const items = timeline.items.get(id);
  if (!items) return;
  const [from, to] = timeline.view;
  const seen = [];
  for (let index = firstAfter(items, from - items.longest); index < items.length && items[index].start <= to; index++) {
    if (items[index].end >= from && items[index].key !== selected?.key) seen.push(items[index]);
  }
  for (const state of ORDER) {
    // Where many are in one pixel, one is drawn.
    let before = -1;
    for (const one of seen) {
      if (one.state !== state) continue;
      const x = timeline.x(one.start);
      if (timeline.x(one.end) - x < 2) {
        if (Math.round(x) === before && !one.annotator) continue;
        before = Math.round(x);
      }
      bar(timeline, pen, one, false);
    }
  }
}

function firstAfter(items, seconds) {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].start < seconds) low = middle + 1;
    else high = middle;
  }
  return low;
}

const shortened = new Map();

function name(timeline, pen, id, top) {
  const { colours, gutter, laneHeight, width } = timeline;
  const { title, colour } = store.behaviours.get(id);
  if (gutter) {
    pen.fillStyle = colours.panel;
    pen.fillRect(0, top, gutter, laneHeight);
  }
  pen.fillStyle = colour;
  pen.fillRect(0, top + 1, 4, laneHeight - 2);
  pen.fillStyle = gutter ? colours.ink : colours.soft;
  const room = (gutter || width) - 18;
  const key = `${title} ${room}`;
  if (!shortened.has(key)) {
    let text = title;
    while (text.length > 4 && pen.measureText(text).width > room) text = `${text.slice(0, -2)}…`;
    shortened.set(key, text);
  }
  pen.fillText(shortened.get(key), 10, gutter ? top + laneHeight / 2 : top + 8);
}

// Where the bars of a lane are, in it: from the top, height.
function room(timeline) {
  return timeline.gutter ? [4, timeline.laneHeight - 15] : [16, timeline.laneHeight - 28];
}

// One item: how it stands tells who said it; the thin line below is the model's own times. What
// others decided is a thin bar at the bottom.
function bar(timeline, pen, one, isSelected) {
  const [above, tall] = room(timeline);
  let top = timeline.places.get(one.behaviour) * timeline.laneHeight + above;
  let height = tall;
  const { colour } = store.behaviours.get(one.behaviour);
  const x = timeline.x(one.start);
  const width = Math.max(2, timeline.x(one.end) - x);
  if (one.annotator) {
    top += height + 2;
    height = OTHERS_ROOM - 3;
  } else if (one.state !== "settled") thinLine(timeline, pen, one, top + height + 2, colour);
  if (width < 4 && !isSelected) {
    pen.globalAlpha = one.state === "accepted" ? 1 : one.state === "open" ? 0.25 + 0.5 * (one.score ?? 0) : one.state === "settled" ? 0.2 : 0.35;
    pen.fillStyle = one.state === "rejected" ? timeline.colours.soft : colour;
    pen.fillRect(x, top, width, height);
    pen.globalAlpha = 1;
    return;
  }
  shape(timeline, pen, one, [x, top, width, height], colour);
  if (isSelected) outline(timeline, pen, one, [x, top, width, height]);
}

function thinLine(timeline, pen, one, top, colour) {
  const found = store.detections.get(one.detection);
  if (!found) return;
  const from = timeline.x(found.start);
  pen.globalAlpha = 0.35 + 0.65 * found.score;
  pen.fillStyle = colour;
  pen.fillRect(from, top, Math.max(2, timeline.x(found.end) - from), 3);
  pen.globalAlpha = 1;
}

function shape(timeline, pen, one, [x, top, width, height], colour) {
  pen.beginPath();
  pen.roundRect(x, top, width, height, Math.min(4, width / 2, height / 2));
  // Where the scores over time are drawn, they are seen through what is open.
  const fill = timeline.curves.shows(one.behaviour) ? 0.2 * (one.score ?? 0) : 0.12 + 0.4 * (one.score ?? 0);
  pen.globalAlpha = one.state === "accepted" ? 1 : one.state === "open" ? fill : 0;
  pen.fillStyle = colour;
  if (pen.globalAlpha) pen.fill();
  pen.globalAlpha = one.state === "settled" ? 0.5 : one.state === "rejected" ? 0.7 : 1;
  pen.strokeStyle = one.state === "rejected" ? timeline.colours.soft : colour;
  pen.lineWidth = one.state === "settled" ? 1 : 1.3;
  // Dashes are slow; on a short one they would not be seen.
  const isDashed = (one.state === "open" || one.state === "settled") && width > 8;
  if (isDashed) pen.setLineDash(one.state === "open" ? [4, 3] : [2, 4]);
  pen.stroke();
  if (isDashed) pen.setLineDash([]);
  if (one.state === "rejected" && width > 6) {
    pen.beginPath();
    pen.moveTo(x + 2, top + height - 2);
    pen.lineTo(x + width - 2, top + 2);
    pen.stroke();
  }
  if (one.state === "accepted" && width > 16 && !one.annotator) {
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
}

function outline(timeline, pen, one, [x, top, width, height]) {
  pen.strokeStyle = timeline.colours.chosen;
  pen.lineWidth = 2.5;
  pen.beginPath();
  pen.roundRect(x - 2, top - 2, width + 4, height + 4, Math.min(6, width / 2 + 2));
  pen.stroke();
  if (one.annotator) return;
  pen.fillStyle = timeline.colours.chosen;
  for (const edge of [x, x + width]) {
    pen.beginPath();
    pen.roundRect(edge - 3, top + 1, 6, height - 2, 2);
    pen.fill();
  }
}
