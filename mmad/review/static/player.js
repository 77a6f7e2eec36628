// The video by frames: the times come from mmad's index, so that frame n is frame n for variable
// rates, late starts and copies alike.

import { frameTimes } from "./api.js";

const HALF = 0.5;
// Into a frame, so that no rounding misses it; not further, because browsers take its duration from
// the order in which frames are stored, and skip a frame that they believe to be over.
const INTO_SECONDS = 0.002;

export class Player {
  constructor(video, { onFrame, onProblem, onState }) {
    this.video = video;
    this.times = new Float64Array(0);
    this.frame = 0;
    this.range = null; // [start, end] in seconds that is repeated
    this.loops = true;
    this.offset = 0; // of the browser's clock to the times of the index
    this.onFrame = onFrame;
    this.loading = 0;
    this.wanted = null; // where to seek once the browser has done the seek before
    video.addEventListener("seeked", () => {
      if (this.wanted === null) return;
      [video.currentTime, this.wanted] = [this.wanted, null];
    });
    for (const name of ["play", "pause", "ended"]) video.addEventListener(name, onState);
    video.addEventListener("error", () => video.getAttribute("src") && onProblem());
    video.addEventListener("ended", () => this.loops && this.range && this.again());
    if (video.requestVideoFrameCallback) {
      const shown = (_, metadata) => {
        if (this.wanted === null) this.at(metadata.mediaTime - this.offset);
        video.requestVideoFrameCallback(shown);
      };
      video.requestVideoFrameCallback(shown);
    } else {
      const look = () => {
        if (!video.seeking) this.at(video.currentTime - this.offset + 1e-4, true);
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    }
  }

  async load(number) {
    const loading = ++this.loading;
    this.range = null;
    this.times = new Float64Array(0);
    this.frame = this.offset = 0;
    this.wanted = null;
    const ready = new Promise((resolve) => {
      this.video.addEventListener("loadeddata", resolve, { once: true });
      this.video.addEventListener("error", resolve, { once: true });
    });
    const first = this.firstFrame();
    this.video.src = `/media/${number}`;
    const times = await frameTimes(number);
    await ready;
    const found = await first;
    if (loading !== this.loading) return;
    this.offset = found;
    this.times = times;
    this.showRate();
    this.seek(0);
  }

  // The time that the browser gives to the first frame: more than 0 where sound begins earlier.
  firstFrame() {
    const { video } = this;
    return new Promise((resolve) => {
      if (!video.requestVideoFrameCallback) return resolve(0);
      video.requestVideoFrameCallback((_, metadata) => resolve(metadata.mediaTime));
      video.addEventListener("error", () => resolve(0), { once: true });
      video.addEventListener("loadeddata", () => setTimeout(() => resolve(0), 1500), { once: true });
    });
  }

  // The frame that is shown at a time.
  frameAt(seconds, isLast = false) {
    const { times } = this;
    let low = 0;
    let high = times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (times[middle] <= seconds) low = middle;
      else high = middle - 1;
    }
    if (!isLast && low + 1 < times.length && times[low + 1] - seconds < seconds - times[low]) return low + 1;
    return low;
  }

  at(seconds, isLast = false) {
    if (!this.times.length) return;
    this.frame = this.frameAt(seconds, isLast);
    const now = this.now;
    if (this.range && this.loops && !this.video.paused && now >= this.range[1]) this.again();
    this.onFrame(this.frame, now);
  }

  get now() {
    return this.times[this.frame] ?? 0;
  }

  show(frame) {
    if (!this.times.length) return;
    this.frame = Math.max(0, Math.min(this.times.length - 1, frame));
    const from = this.times[this.frame];
    const spacing = this.times.length > 1 ? this.times[this.times.length - 1] / (this.times.length - 1) : 0.04;
    const to = this.times[this.frame + 1] ?? from + spacing;
    const time = this.offset + from + Math.min(HALF * (to - from), INTO_SECONDS);
    if (this.video.seeking) this.wanted = time;
    else this.video.currentTime = time;
    this.onFrame(this.frame, from);
  }

  seek(seconds) {
    this.show(this.frameAt(seconds));
  }

  step(frames) {
    this.video.pause();
    this.show(this.frame + frames);
  }

  repeat(start, end) {
    this.range = [Math.max(0, start), end];
    this.again();
  }

  again() {
    this.seek(this.range[0]);
    this.play();
  }

  play() {
    this.video.play().catch(() => { /* The browser waits for a key or a click. */ });
  }

  toggle() {
    if (!this.video.paused) this.video.pause();
    else this.play();
  }

  setHalf(isHalf) {
    this.rate = isHalf ? HALF : 1;
    this.showRate();
  }

  showRate() {
    this.video.defaultPlaybackRate = this.video.playbackRate = this.rate ?? 1;
  }
}
