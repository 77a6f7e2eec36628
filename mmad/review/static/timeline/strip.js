// The film strip: small pictures of single frames, which the server makes when they are first seen.

const MOST_AT_ONCE = 2;
const MOST_KEPT = 600;
const REST_MILLISECONDS = 120;
const STEPS = [1, 1.5];

export class FilmStrip {
  constructor(redraw) {
    this.redraw = redraw;
    this.kept = new Map(); // picture of each frame, or null where none could be made
    this.running = 0;
    this.open(null);
  }

  open(number) {
    this.number = number;
    this.frameAt = null;
    this.aspect = 16 / 9;
    for (const picture of this.kept.values()) picture?.close();
    this.kept.clear();
    this.wanted = [];
  }

  // Frames are asked for by number: `frameAt` gives the one that is shown at a time.
  ready(frameAt, aspect) {
    this.frameAt = frameAt;
    this.aspect = aspect || this.aspect;
    this.redraw();
  }

  paint(pen, timeline, top, height) {
    const [from, to] = timeline.view;
    const wide = height * this.aspect;
    const step = stepOf((wide * (to - from)) / (timeline.width - timeline.gutter));
    this.wanted = [];
    for (let place = Math.floor(from / step); place * step < to; place++) {
      const x = timeline.x(place * step);
      const width = timeline.x((place + 1) * step) - x;
      if (place * step >= timeline.duration) break;
      // Grey until the picture comes.
      pen.fillStyle = timeline.colours.grid;
      pen.fillRect(x, top, width - 1, height);
      if (!this.frameAt) continue;
      const frame = this.frameAt(place * step);
      const picture = this.kept.get(frame);
      if (picture === undefined) this.wanted.push(frame);
      draw(pen, picture ?? this.stand(frame), [x, top, width, height], picture ? 1 : 0.4);
    }
    if (!this.frameAt) return;
    const middle = this.frameAt((from + to) / 2);
    this.wanted.sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle));
    // Once the view rests: in between, nobody sees a picture.
    clearTimeout(this.timer);
    if (this.wanted.length) this.timer = setTimeout(() => this.fill(), REST_MILLISECONDS);
  }

  // A picture of a frame close by, until that of the frame is there.
  stand(frame) {
    let found = null;
    let far = Infinity;
    for (const [other, picture] of this.kept) {
      const distance = Math.abs(other - frame);
      if (picture && distance < far) [found, far] = [picture, distance];
    }
    return found;
  }

  fill() {
    while (this.running < MOST_AT_ONCE) {
      const frame = this.wanted.shift();
      if (frame === undefined) return;
      this.load(this.number, frame);
    }
  }

  async load(number, frame) {
    this.running += 1;
    let picture = null;
    try {
      const answer = await fetch(`/api/videos/${number}/thumbnails/${frame}`, { priority: "low" });
      if (answer.ok) picture = await createImageBitmap(await answer.blob());
    } catch { /* Drawn without it. */ }
    this.running -= 1;
    if (number !== this.number) return picture?.close();
    this.kept.set(frame, picture);
    if (this.kept.size > MOST_KEPT) {
      const [oldest, old] = this.kept.entries().next().value;
      old?.close();
      this.kept.delete(oldest);
    }
    this.fill();
    this.redraw();
  }
}

// A step of time at which pictures of so many seconds stand side by side: the same steps whatever
// the view is, so that pictures are used again.
function stepOf(seconds) {
  const power = 2 ** Math.floor(Math.log2(seconds));
  const near = [...STEPS.map((one) => one * power), 2 * power];
  const distance = (one) => Math.abs(Math.log(one / seconds));
  return near.reduce((best, one) => (distance(one) < distance(best) ? one : best));
}

// Cover the place with the middle of a picture.
function draw(pen, picture, [x, top, width, height], alpha) {
  if (!picture) return;
  const scale = Math.max(width / picture.width, height / picture.height);
  const [wide, high] = [width / scale, height / scale];
  pen.globalAlpha = alpha;
  pen.drawImage(picture, (picture.width - wide) / 2, (picture.height - high) / 2, wide, high, x, top, width - 1, height);
  pen.globalAlpha = 1;
}
