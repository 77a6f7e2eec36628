"use strict";
// The timeline of one video: by body part, annotations above detections.

const LANE = 17, BAR = 14, GAP = 6;

// Bars of the video, in the order of time: annotations and the detections above the threshold.
function barsOf(content, level, video, threshold) {
  const { truth, found } = content;
  const bars = [];
  for (let row = truth.offsets[video]; row < truth.offsets[video + 1]; row += 1) {
    bars.push({ start: truth.start[row] / 100, end: truth.end[row] / 100, label: truth.label[row], isTruth: true, isMissed: truth.missed[level][row] === 1, row });
  }
  for (let row = found.offsets[video]; row < found.offsets[video + 1]; row += 1) {
    const score = found.score[row] / 1000;
    if (score < threshold) continue;
    bars.push({ start: found.start[row] / 100, end: found.end[row] / 100, label: found.label[row], isTruth: false, score, outcome: found.outcome[level][row], nearest: found.nearest[row], overlap: found.overlap[row] / 100, row });
  }
  return bars.sort((a, b) => a.start - b.start || a.end - b.end);
}

function packLanes(bars, gap) {
  const ends = [];
  bars.forEach((bar) => {
    let lane = ends.findIndex((end) => end + gap <= bar.start);
    if (lane < 0) { lane = ends.length; ends.push(0); }
    ends[lane] = Math.max(bar.end, bar.start + gap);
    bar.lane = lane;
  });
  return ends.length;
}

const clock = (seconds, digits) => {
  const minutes = Math.floor(seconds / 60 + 1e-9);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(digits).padStart(digits ? 4 : 2, "0")}`;
};

function describe(content, level, bar) {
  const names = content.levels[level].labels;
  const label = level === "body" ? content.parents[bar.label] : bar.label;
  const span = `${bar.start.toFixed(2)} to ${bar.end.toFixed(2)} s (${(bar.end - bar.start).toFixed(2)} s)`;
  const action = level === "body" ? ` (${content.actions[bar.label]})` : "";
  if (bar.isTruth) return `annotated: ${names[label]}${action}\n${span}\n${bar.isMissed ? "missed" : "found"}`;
  const kind = bar.outcome < 0 ? "not judged (beyond the top 10G of its class)" : content.outcomes[bar.outcome];
  const near = bar.nearest < 0 ? "" : `\nnearest annotation: ${content.actions[content.truth.label[bar.nearest]]}, tIoU ${bar.overlap.toFixed(2)}`;
  return `detected: ${names[label]}${action}\nscore ${bar.score.toFixed(3)}\n${span}\n${kind}${near}`;
}

function drawTimeline(content, level, video, threshold, { width, colours, onChoose }) {
  const duration = Math.max(content.videos[video].duration, 0.1);
  const bars = barsOf(content, level, video, threshold);
  const narrow = width < 560;
  const left = narrow ? 8 : 96, right = 10;
  const x = (seconds) => left + ((width - left - right) * Math.min(seconds, duration)) / duration;
  const gap = (2 * duration) / Math.max(width - left - right, 1);
  const svg = make("svg", { width, role: "presentation" });
  let y = 22;
  const order = [];
  content.parts.forEach((part, number) => {
    const mine = bars.filter((bar) => (content.parents[bar.label] ?? 0) === number);
    if (!mine.length) return;
    if (narrow) y += 14;
    svg.append(make("text", { x: narrow ? left : left - 8, y: narrow ? y - 3 : y + 12, "text-anchor": narrow ? "start" : "end", class: "part" }, part));
    [true, false].forEach((isTruth) => {
      const row = mine.filter((bar) => bar.isTruth === isTruth);
      const lanes = packLanes(row, gap);
      row.forEach((bar) => {
        const top = y + LANE * bar.lane;
        const size = Math.max(2, x(bar.end) - x(bar.start));
        const attributes = { x: x(bar.start), y: top, width: size, height: BAR, rx: 2, "data-row": bar.row };
        const kind = isTruth ? `mark truth${bar.isMissed ? " missed" : ""}` : "mark found";
        const fill = isTruth ? null : colours[bar.outcome < 0 ? colours.length - 1 : bar.outcome];
        bar.node = make("rect", { ...attributes, class: kind, fill, stroke: isTruth ? null : "#555", "stroke-width": isTruth ? null : 0.6, onclick: () => onChoose(bar) });
        svg.append(tipFor(bar.node, describe(content, level, bar)));
        const letter = isTruth ? "" : bar.outcome < 0 ? "" : `${content.letters[bar.outcome]} `;
        const text = `${letter}${level === "body" ? content.actions[bar.label] : content.levels[level].labels[bar.label]}`;
        const room = Math.floor((size - 6) / 5.6);
        if (room >= 1) svg.append(make("text", { x: x(bar.start) + 3, y: top + 11, class: isTruth ? "truthtext" : [0, 2].includes(bar.outcome) ? "inbar onDark" : "inbar" }, text.slice(0, room)));
        order.push(bar);
      });
      y += LANE * lanes;
    });
    y += GAP;
    svg.append(make("line", { class: "grid", x1: left, x2: width - right, y1: y - GAP / 2, y2: y - GAP / 2 }));
  });
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200];
  const step = steps.find((s) => ((width - left) * s) / duration > 46) || 3600;
  for (let t = 0; t <= duration + 1e-6; t += step) {
    svg.prepend(make("line", { class: "grid", x1: x(t), x2: x(t), y1: 16, y2: y }));
    svg.append(make("text", { class: "soft", x: x(t), y: 11, "text-anchor": t === 0 ? "start" : "middle" }, clock(t, step < 1 ? 1 : 0)));
  }
  if (!bars.length) svg.append(make("text", { x: left, y: 36 }, "nothing annotated, and nothing detected with such a score"));
  const playhead = make("line", { class: "playhead", x1: x(0), x2: x(0), y1: 14, y2: y, visibility: "hidden" });
  svg.append(playhead);
  svg.setAttribute("height", Math.max(y + 6, 48));
  order.sort((a, b) => a.start - b.start || a.end - b.end);
  const secondsAt = (pixels) => (duration * (pixels - left)) / (width - left - right);
  return { svg, bars: order, playhead, x, secondsAt, duration };
}
