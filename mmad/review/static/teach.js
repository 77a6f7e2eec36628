// Teaching: a button that starts learning from the decisions, shows how far it is, and renews the
// queue when the new detections are there.

import { get, post } from "./api.js";
import { store } from "./store.js";

const POLL_MS = 1000;

function made(tag, fields, ...children) {
  const element = Object.assign(document.createElement(tag), fields);
  element.append(...children);
  return element;
}

const sentence = (text) => text[0].toUpperCase() + text.slice(1);
const percent = (share) => `${Math.round(100 * share)} %`;

class Teach {
  constructor(page) {
    this.page = page;
    this.state = { runs: false };
    this.shown = null; // the source whose result is shown
    this.opener = made("button", { id: "teach-open", type: "button", textContent: "Teach" });
    this.opener.title = "Learn from the decisions so far, and suggest anew in all videos";
    this.opener.addEventListener("click", () => this.open());
    page.toolbar.append(this.opener);
    this.bar = this.makeBar();
    document.querySelector("main").before(this.bar);
    this.run(() => this.poll({ isFirst: true }));
  }

  makeBar() {
    this.title = made("strong", { id: "teach-title" });
    this.hint = made("span", { id: "teach-hint" });
    this.progress = made("progress", { id: "teach-progress", max: 1, value: 0, hidden: true });
    this.progress.setAttribute("aria-labelledby", "teach-title");
    this.mine = made("input", { id: "teach-mine", type: "checkbox" });
    this.choice = made("label", { className: "teach-choice" }, this.mine, " only my decisions");
    const button = (id, text, act) => {
      const one = made("button", { id, type: "button", textContent: text });
      one.addEventListener("click", () => this.run(act));
      return one;
    };
    this.starter = button("teach-start", "Start", () => this.start());
    this.stopper = button("teach-stop", "Stop", () => this.stop());
    const close = button("teach-close", "Close", async () => { this.bar.hidden = true; });
    const words = made("div", { className: "blind-words" }, this.title, this.hint, this.progress);
    words.setAttribute("aria-live", "polite");
    const bar = made(
      "section",
      { id: "teach", className: "blind teach", hidden: true },
      words,
      this.choice,
      this.starter,
      this.stopper,
      close,
    );
    bar.setAttribute("aria-label", "Teach");
    return bar;
  }

  run(act) {
    return act().catch((problem) => this.page.tell(problem.message));
  }

  open() {
    this.bar.hidden = !this.bar.hidden;
    this.draw();
  }

  async start() {
    await this.page.flush();
    this.shown = null;
    this.state = await post("/api/teaching", { annotator: store.annotator, only_mine: this.mine.checked });
    this.draw();
    await this.poll();
  }

  async stop() {
    this.state = await post("/api/teaching/stop", { annotator: store.annotator });
    this.draw();
  }

  // Asks until it has ended. What was learnt before the page was opened is in it already.
  async poll({ isFirst = false } = {}) {
    clearTimeout(this.timer);
    this.state = await get("/api/teaching");
    const { taught, runs } = this.state;
    if (taught && this.shown === null) {
      this.shown = taught.source;
      if (!isFirst) {
        await this.page.reload();
        this.page.tell("Learnt. The queue shows the new suggestions; what was decided stays.");
      }
    }
    this.draw();
    if (runs) {
      if (this.shown === null) this.bar.hidden = false;
      this.timer = setTimeout(() => this.run(() => this.poll()), POLL_MS);
    }
  }

  draw() {
    const { runs, stage, fraction, error, taught } = this.state;
    this.starter.hidden = this.choice.hidden = runs;
    this.starter.textContent = taught || error ? "Again" : "Start";
    this.stopper.hidden = !runs || Boolean(taught);
    this.progress.hidden = !runs;
    this.progress.value = fraction ?? 0;
    this.opener.textContent = runs && !taught ? `Teach ${percent(fraction ?? 0)}` : "Teach";
    if (runs && !taught) {
      this.title.textContent = "Learning from the decisions";
      this.hint.textContent = `${sentence(stage ?? "starting")}. Go on deciding meanwhile; that counts the next time.`;
    } else if (error) {
      this.title.textContent = "Nothing was learnt";
      this.hint.textContent = sentence(error);
    } else if (taught) {
      this.title.textContent = `Learnt from ${taught.num_decisions} decision${taught.num_decisions === 1 ? "" : "s"}`;
      this.hint.textContent = this.result();
    } else {
      this.title.textContent = "Learn from the decisions so far";
      this.hint.textContent = "A small model learns from what people accepted, rejected and drew, own behaviours included, and "
        + "suggests anew in all videos. It takes a minute or two; decisions stay as they are.";
    }
  }

  result() {
    const { taught, curve, stage, runs } = this.state;
    const name = (number) => store.behaviours.get(number)?.title ?? `behaviour ${number}`;
    const parts = taught.heads.map((one) => {
      const value = taught.precision[one];
      return value === undefined ? name(one) : `${name(one)} (average precision ${percent(value)} on held-out videos)`;
    });
    const said = [];
    if (parts.length) said.push(`Learnt: ${parts.join(", ")}.`);
    if (taught.nearest.length) said.push(`Most similar stretches suggested: ${taught.nearest.map(name).join(", ")}.`);
    if (taught.kept.length) said.push(`As the model before found them: ${taught.kept.length} behaviours.`);
    said.push(...taught.notices.map((one) => `${sentence(one)}.`));
    if (curve) said.push(`${sentence(curve)}.`);
    else if (runs && stage !== "done") said.push(`Now ${stage}.`);
    return said.join(" ");
  }
}

export function setUpTeach(page) {
  new Teach(page);
}
