// What waits for a decision, over all videos, in the chosen order.

import { post } from "./api.js";
import { store } from "./store.js";

const REFRESH_MILLISECONDS = 1500;

export class Queue {
  constructor({ onNews, tell }) {
    this.waiting = [];
    this.total = 0;
    this.order = "uncertain";
    // Decided since the list was asked for, and how many lists had been asked for then.
    this.done = new Map();
    this.asked = 0;
    this.skipped = new Set();
    this.onNews = onNews;
    this.tell = tell;
  }

  refresh() {
    this.isStale = false;
    this.refreshing = this.load();
    return this.refreshing;
  }

  async load() {
    clearTimeout(this.timer);
    this.timer = null;
    const { min, max, behaviours } = store.filter;
    const asked = (this.asked += 1);
    const found = await post("/api/queue", {
      annotator: store.annotator, order: this.order, min_score: min, max_score: max,
      behaviours: behaviours ? [...behaviours] : [],
    });
    if (asked !== this.asked) return;
    this.waiting = found.waiting;
    this.total = found.total;
    // The answer may be older than what was decided while it was on its way.
    for (const [id, when] of this.done) if (when < asked) this.done.delete(id);
    this.onNews(found);
  }

  refreshSoon() {
    this.timer ??= setTimeout(() => this.refresh().catch((problem) => this.tell(problem.message)), REFRESH_MILLISECONDS);
  }

  // The filter, or what is settled, has changed.
  filtered() {
    this.isStale = true;
    this.refreshSoon();
  }

  // Someone has decided about detections, or has opened them again.
  note(change) {
    change.after.forEach((one) => this.drop(one.detection));
    for (const one of change.before) {
      if (!change.after.some((other) => other.detection === one.detection)) this.done.delete(one.detection);
    }
    this.refreshSoon();
  }

  // It does not wait any more.
  drop(detection) {
    this.done.set(detection, this.asked);
  }

  skip(detection) {
    this.skipped.add(detection);
  }

  // The next [video, detection], or null; what was skipped comes last.
  async next(current) {
    // In a new order or with a new filter, the old list is not asked any more.
    if (this.isStale) this.refresh();
    await this.refreshing?.catch(() => {});
    const wanted = () => this.waiting.find(([, id]) => id !== current && !this.done.has(id) && !this.skipped.has(id));
    let found = wanted();
    if (!found) {
      await this.refresh();
      found = wanted();
    }
    if (!found && this.skipped.size) {
      this.skipped.clear();
      found = wanted();
    }
    return found ?? null;
  }
}
