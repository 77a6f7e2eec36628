// Where segments begin and end: at frames, dragged or nudged.

import { selectedItem, store } from "./store.js";

export class Edges {
  constructor(player, decisions) {
    this.player = player;
    this.decisions = decisions;
    this.of = null;
  }

  // Times at which a frame begins, and the end of the video: where segments may begin and end.
  get times() {
    if (this.of !== this.player.times) {
      this.of = this.player.times;
      this.known = Float64Array.from([...this.of, store.video?.duration ?? 0]);
    }
    return this.known;
  }

  nearest(seconds) {
    return nearest(this.times, seconds);
  }

  snap(seconds) {
    return this.times[this.nearest(seconds)];
  }

  // An edge follows the pointer, frame by frame; `seconds` null: not after all.
  move(edge, seconds, isFinal) {
    const item = selectedItem();
    if (!item) return;
    if (seconds === null) this.decisions.dropEdge();
    else this.set(item, edge, this.nearest(seconds), isFinal);
  }

  set(item, edge, place, isFinal) {
    const { times, player } = this;
    if (times.length < 2 || item.annotator) return;
    const other = this.nearest(edge === "start" ? item.end : item.start);
    const chosen = edge === "start" ? Math.max(0, Math.min(place, other - 1))
      : Math.min(times.length - 1, Math.max(place, other + 1));
    const segment = { start: item.start, end: item.end, [edge]: times[chosen] };
    player.video.pause();
    player.show(edge === "start" ? chosen : chosen - 1);
    this.decisions.edge(segment.start, segment.end, isFinal);
  }

  nudge(edge, frames) {
    const item = selectedItem();
    if (item) this.set(item, edge, this.nearest(item[edge]) + frames, false);
  }

  setHere(edge) {
    const item = selectedItem();
    if (item) this.set(item, edge, edge === "start" ? this.player.frame : this.player.frame + 1, true);
  }
}

function nearest(sorted, value) {
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low > 0 && value - sorted[low - 1] <= sorted[low] - value ? low - 1 : low;
}
