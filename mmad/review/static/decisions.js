// Decisions: each is on disk before the page shows it.

import { post } from "./api.js";
import { apply, changed, selectedItem, store } from "./store.js";

const NUDGE_MILLISECONDS = 500;

// One request after another, in the order of the person's actions.
let last = Promise.resolve();
function inOrder(act) {
  const done = last.then(act);
  last = done.catch(() => {});
  return done;
}

export class Decisions {
  constructor({ tell, onDecided, openVideo }) {
    this.tell = tell;
    this.onDecided = onDecided;
    this.openVideo = openVideo;
    this.waiting = null;
  }

  // Make a decision; true once it is on disk and shown.
  async decide(decision, { keepsSelection = false } = {}) {
    await this.flush();
    const { annotator, video } = store;
    return this.send("/api/decide", { annotator, video: video.id, decision }, (answer) => {
      const keys = apply(answer);
      if (keys.length) store.selected = keys[0];
      else if (decision.action === "delete") store.selected = this.reopened(answer.change);
      this.onDecided(answer.change, keepsSelection);
    });
  }

  // After a decision was taken back, its detection is selected again.
  reopened(change) {
    const detection = change.before.find((one) => one.detection !== null)?.detection;
    return store.detections.has(detection) ? `d${detection}` : null;
  }

  async send(path, content, use) {
    return inOrder(async () => {
      try {
        const answer = await post(path, content);
        store.history = answer.history;
        await use(answer);
        changed();
        return true;
      } catch (problem) {
        store.edit = null;
        changed();
        this.tell(problem.message);
        if (problem.status === 409) await this.openVideo(store.video.id);
        return false;
      }
    });
  }

  async takeBack(what) {
    await this.flush();
    return this.send(`/api/${what}`, { annotator: store.annotator }, async (answer) => {
      const { change } = answer;
      if (!change) return this.tell(`Nothing to ${what}.`);
      if (change.video === store.video.id) apply(answer);
      else await this.openVideo(change.video);
      const shown = change.after.find((one) => one.state !== "merged");
      store.selected = shown ? `i${shown.id}` : this.reopened(change);
      this.onDecided(change, true);
    });
  }

  // Show other times of the selected item, and save them a little later, or at once.
  edge(start, end, isFinal = false) {
    const item = selectedItem();
    if (!item) return;
    store.edit = { key: item.key, start, end };
    changed("edge");
    clearTimeout(this.timer);
    this.waiting = { target: item.target, start, end };
    if (isFinal) this.flush();
    else this.timer = setTimeout(() => this.flush(), NUDGE_MILLISECONDS);
  }

  dropEdge() {
    clearTimeout(this.timer);
    this.waiting = store.edit = null;
    changed();
  }

  // Save the times that are shown but not saved yet.
  async flush() {
    clearTimeout(this.timer);
    if (!this.waiting) return last;
    const decision = { action: "move", ...this.waiting };
    this.waiting = null;
    return this.decide(decision, { keepsSelection: true });
  }
}
