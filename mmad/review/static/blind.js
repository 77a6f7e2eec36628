// The blind share: stretches that are coded without suggestions. The server does not send what a
// model found in them; here is only what leads the person through them.

import { get, post } from "./api.js";
import { itemsChanged, shownItems, store } from "./store.js";
import { clock } from "./words.js";

const FRAMES_LEFT = 3;
const IDLE = ["accept", "reject", "next", "previous", "reviewed", "unreviewed", "curves"];

function made(tag, fields, ...children) {
  const element = Object.assign(document.createElement(tag), fields);
  element.append(...children);
  return element;
}

const many = (number, one, more) => `${number} ${number === 1 ? one : more}`;

class Blind {
  constructor(page) {
    this.page = page;
    this.told = null; // what the server says: done, total, seen, missing, context, next
    this.stretch = null; // the one that is being coded
    this.opener = made("button", { id: "blind-open", type: "button", hidden: true });
    this.opener.addEventListener("click", () => this.run(() => this.enter()));
    page.toolbar.append(this.opener);
    this.bar = this.makeBar();
    document.querySelector("main").before(this.bar);
    this.shades = ["before", "after"].map((side) => made("div", { className: `blind-shade is-${side}`, hidden: true }));
    document.querySelector("#timeline").append(...this.shades);
    this.listen();
  }

  makeBar() {
    this.title = made("strong", { id: "blind-title" });
    this.hint = made("span", { id: "blind-hint" });
    const button = (id, text, act) => {
      const one = made("button", { id, type: "button", textContent: text });
      one.addEventListener("click", (event) => {
        this.run(act);
        if (event.detail) one.blur();
      });
      return one;
    };
    this.finish = button("blind-done", "Done", () => this.done());
    const play = button("blind-play", "Play it", () => this.play());
    const leave = button("blind-leave", "Leave", () => this.leave());
    const words = made("div", { className: "blind-words" }, this.title, this.hint);
    const bar = made("section", { id: "blind", className: "blind", hidden: true }, words, play, this.finish, leave);
    bar.setAttribute("aria-label", "Blind share");
    return bar;
  }

  listen() {
    const { commands, player, onChange } = this.page;
    for (const name of IDLE) {
      const act = commands[name];
      commands[name] = () => (this.stretch ? this.page.tell("Suggestions are hidden: draw what you see (D), then press Done.") : act());
    }
    const shown = player.onFrame;
    player.onFrame = (frame, now) => {
      shown(frame, now);
      if (this.stretch?.video !== store.video?.id) return;
      // A slow machine does not show every frame.
      if (frame >= player.frameAt(this.stretch.end - 1e-3, true) - FRAMES_LEFT) this.isSeen = true;
    };
    onChange(() => {
      if (store.annotator && this.annotator !== store.annotator) {
        this.annotator = store.annotator;
        if (this.stretch) this.stop();
        this.run(() => this.refresh());
      }
      if (this.stretch && this.isSure) this.ask(false);
    });
  }

  run(act) {
    return act().catch((problem) => this.page.tell(problem.message));
  }

  async refresh(told = null) {
    const query = new URLSearchParams({ annotator: store.annotator });
    this.told = told ?? await get(`/api/blind?${query}`);
    const { done, total, seen, missing } = this.told;
    this.opener.hidden = !(total || seen || missing);
    this.opener.textContent = `Blind ${done}/${total}`;
    this.opener.title = `Blind share: ${done} of ${many(total, "stretch", "stretches")} coded without suggestions`;
    this.opener.disabled = Boolean(this.stretch);
  }

  leftOut() {
    const { seen, missing } = this.told;
    const parts = [];
    if (seen) parts.push(`${many(seen, "stretch is", "stretches are")} left out: you had seen suggestions there before the share was drawn`);
    if (missing) parts.push(`${many(missing, "stretch lies", "stretches lie")} in videos that cannot be played`);
    return parts.length ? `${parts.join("; ")}.` : "";
  }

  async enter() {
    await this.page.flush();
    await this.refresh();
    const [next] = this.told.next;
    if (!next) {
      this.page.tell(`Nothing of the blind share is left to code. ${this.leftOut()}`);
      return;
    }
    await this.begin(next);
    if (this.leftOut()) this.page.tell(this.leftOut());
  }

  async begin(stretch) {
    const { page, told } = this;
    const margin = told.context;
    this.stretch = stretch;
    this.isSeen = false;
    this.ask(false);
    store.hides = (item) => item.annotator !== null || item.end <= stretch.start - margin || item.start >= stretch.end + margin;
    document.body.classList.add("is-blind");
    this.opener.disabled = document.querySelector("#video-pick").disabled = true;
    await page.openVideo(stretch.video);
    page.timeline.curves.isOn = false;
    this.title.textContent = `Blind share: stretch ${told.done + 1} of ${told.total}`;
    this.hint.textContent = `${store.video.name}, ${clock(stretch.start)} to ${clock(stretch.end)}. Draw everything that happens in it, `
      + "from its real start to its real end; what the model found is hidden.";
    this.bar.hidden = false;
    this.shades.forEach((one) => { one.hidden = false; });
    itemsChanged();
    page.timeline.measure();
    page.timeline.look(stretch.start - margin, stretch.end + margin);
    this.shade();
    await this.play();
  }

  async play() {
    const { stretch, told, page } = this;
    if (store.video.id !== stretch.video) await page.openVideo(stretch.video);
    page.timeline.look(stretch.start - told.context, stretch.end + told.context);
    page.player.repeat(stretch.start - told.context, Math.min(store.video.duration, stretch.end + told.context));
  }

  // What is outside of the stretch lies in the shade.
  shade() {
    if (!this.stretch) return;
    const { timeline } = this.page;
    const isHere = store.video?.id === this.stretch.video;
    const limit = (seconds) => Math.max(timeline.gutter, Math.min(timeline.width, isHere ? timeline.x(seconds) : timeline.width));
    const [start, end] = [limit(this.stretch.start), limit(this.stretch.end)];
    this.shades[0].style.left = `${timeline.gutter}px`;
    this.shades[0].style.width = `${start - timeline.gutter}px`;
    this.shades[1].style.left = `${end}px`;
    this.shades[1].style.width = `${timeline.width - end}px`;
    requestAnimationFrame(() => this.shade());
  }

  ask(isSure) {
    this.isSure = isSure;
    this.finish.textContent = isSure ? "Nothing drawn: really done?" : "Done";
  }

  async done() {
    const { page, stretch } = this;
    await page.flush();
    if (!this.isSeen) {
      page.tell("Watch the stretch to its end first.");
      await this.play();
      return;
    }
    const isEmpty = !shownItems().some((one) => one.start < stretch.end && one.end > stretch.start);
    if (isEmpty && !this.isSure) {
      this.ask(true);
      return;
    }
    await this.refresh(await post("/api/blind/done", { annotator: store.annotator, stretch: stretch.id }));
    const [next] = this.told.next;
    if (next) await this.begin(next);
    else {
      await this.leave();
      page.tell("The blind share is coded. What the model found is shown again.");
    }
  }

  async leave() {
    this.stop();
    await this.page.reload();
    await this.refresh();
    this.page.timeline.look(0, this.page.timeline.duration);
  }

  stop() {
    this.stretch = null;
    store.hides = null;
    this.bar.hidden = true;
    this.shades.forEach((one) => { one.hidden = true; });
    document.body.classList.remove("is-blind");
    this.opener.disabled = document.querySelector("#video-pick").disabled = false;
    this.page.timeline.curves.isOn = document.querySelector("#curves").getAttribute("aria-pressed") === "true";
    this.page.player.video.pause();
    this.page.player.range = null;
    itemsChanged();
    this.page.timeline.measure();
  }
}

export function setUpBlind(page) {
  new Blind(page);
}
