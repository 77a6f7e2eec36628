// Stretches between two presses of a key: drawing a new one, and what was looked at.

import { post } from "./api.js";
import { changed, itemsChanged, store } from "./store.js";
import { clock } from "./words.js";

const by = (id) => document.querySelector(`#${id}`);

// A stretch from the frame at the first press to the end of the frame at the second.
export class Stretch {
  constructor({ id, doing, key, player, timeline, show, done, tell }) {
    Object.assign(this, { id, doing, key, player, timeline, show, done, tell });
    this.start = null;
  }

  get end() {
    return this.player.times[this.player.frame + 1] ?? store.video.duration;
  }

  press() {
    if (!this.player.times.length) return null;
    if (this.start === null) {
      this.start = this.player.now;
      by(this.id).setAttribute("aria-pressed", "true");
      by("live").textContent = `${this.doing} from ${clock(this.start)}; press ${this.key} again at the end`;
      this.follow();
      return null;
    }
    const [start, end] = [this.start, this.end];
    this.stop();
    if (end > start) return this.done(start, end);
    return this.tell("The end is before the start.");
  }

  // While it is open, it reaches to the current frame.
  follow() {
    if (this.start === null) return;
    this.show([this.start, this.end]);
    this.timeline.redrawHead();
  }

  stop() {
    if (this.start === null) return;
    this.start = null;
    this.show(null);
    by(this.id).setAttribute("aria-pressed", "false");
    this.timeline.redrawHead();
  }
}

// Say that the person has looked at a stretch of the video, or has not.
export async function markReviewed(start, end, isReviewed) {
  const { annotator, video } = store;
  const answer = await post("/api/reviewed", { annotator, video: video.id, start, end, is_reviewed: isReviewed });
  if (store.video !== video) return;
  store.reviewed = answer.reviewed;
  store.settled = new Set(answer.settled);
  itemsChanged();
  changed();
  by("live").textContent = `${clock(start)} to ${clock(end)}: ${isReviewed ? "reviewed" : "not reviewed"}`;
}

// The stretch that was looked at, not blind, at a time; or null.
export function reviewedAt(seconds) {
  return store.reviewed.find(([start, end, isBlind]) => !isBlind && start <= seconds && seconds < end) ?? null;
}
