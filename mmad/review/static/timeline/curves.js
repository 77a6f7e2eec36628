// The model's scores over time, one area in the lane of each behaviour.

import { bytes, get } from "../api.js";
import { itemsChanged, store } from "../store.js";

// Many strokes are slow, and so close together they would hide the area.
const MOST_STROKED = 200;

export class Curves {
  constructor(redraw) {
    this.redraw = redraw;
    this.isOn = true;
    this.clear();
  }

  clear() {
    this.behaviours = [];
    this.levels = new Map(); // of each behaviour: scores, then the maxima of pairs of them, and so on
  }

  async open(number) {
    this.number = number;
    this.clear();
    try {
      const query = new URLSearchParams({ annotator: store.annotator });
      const found = await get(`/api/videos/${number}/curves?${query}`);
      if (!found.behaviours.length || this.number !== number) return;
      const scores = await bytes(`/api/videos/${number}/curves/scores?${query}`);
      if (this.number !== number) return;
      this.step = found.step_seconds;
      this.behaviours = found.behaviours;
      found.behaviours.forEach((id, place) => {
        this.levels.set(id, [scores.subarray(place * found.num_steps, (place + 1) * found.num_steps)]);
      });
      itemsChanged();
      this.redraw();
    } catch { /* Detections are shown without them. */ }
  }

  // Scores of a behaviour, where each value is the highest of 2 ** level steps.
  level(id, level) {
    const levels = this.levels.get(id);
    while (levels.length <= level) {
      const finer = levels[levels.length - 1];
      const coarser = new Uint8Array(Math.ceil(finer.length / 2));
      for (let place = 0; place < coarser.length; place++) {
        coarser[place] = Math.max(finer[2 * place], finer[2 * place + 1] ?? 0);
      }
      levels.push(coarser);
    }
    return levels[level];
  }

  shows(id) {
    return this.isOn && this.levels.has(id);
  }

  paint(pen, timeline, behaviour, top, height) {
    if (!this.shows(behaviour.id)) return;
    const [from, to] = timeline.view;
    const steps = (to - from) / this.step;
    const pixels = timeline.width - timeline.gutter;
    const level = Math.max(0, Math.ceil(Math.log2((2 * steps) / pixels)));
    const scores = this.level(behaviour.id, level);
    const step = this.step * 2 ** level;
    const first = Math.max(0, Math.floor(from / step) - 1);
    const last = Math.min(scores.length - 1, Math.ceil(to / step) + 1);
    if (last < first) return;
    const bottom = top + height;
    pen.beginPath();
    pen.moveTo(timeline.x((first + 0.5) * step), bottom);
    for (let place = first; place <= last; place++) {
      pen.lineTo(timeline.x((place + 0.5) * step), bottom - (scores[place] / 255) * height);
    }
    pen.strokeStyle = pen.fillStyle = behaviour.colour;
    if (last - first < MOST_STROKED) {
      pen.globalAlpha = 0.6;
      pen.lineWidth = 1;
      pen.stroke();
    }
    pen.lineTo(timeline.x((last + 0.5) * step), bottom);
    pen.globalAlpha = 0.25;
    pen.fill();
    pen.globalAlpha = 1;
  }
}
