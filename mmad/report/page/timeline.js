"use strict";
// The timeline of one video: by body part, annotations above detections.

const LANE = 21, BAR = 17, AXIS = 24, PAD = 5;
// Above so many lanes names that do not fit inside their bar are left to the tooltip.
const MOST_LANES = 45;
const NOT_JUDGED = -1, TRUE_POSITIVE = 0;

const codeAt = (text, row) => text.charCodeAt(row) - 97;
const outcomeOf = (found, level, row) => (codeAt(found.outcome[level], row) % 7) - 1;
// Whether an error counts: among the G best detections of its class.
const isTop = (found, level, row) => codeAt(found.outcome[level], row) >= 7;
const labelAt = (content, level, label) => (level === "body" ? content.parents[label] : label);

// Whether a detection is of a class, or lies on an annotation of it.
function concerns(content, level, row, wanted) {
  const { truth, found } = content;
  if (wanted === null || labelAt(content, level, found.label[row]) === wanted) return true;
  return found.overlap[row] >= 10 && labelAt(content, level, truth.label[found.nearest[row]]) === wanted;
}

// Bars of a video in the order of time: annotations, and the detections from a score on; of one
// class if wanted, and detections of one outcome (or missed annotations only).
function barsOf(content, level, video, { threshold, wanted, kind }) {
  const { truth, found } = content;
  const bars = [];
  for (let row = truth.offsets[video]; row < truth.offsets[video + 1]; row += 1) {
    const isMissed = codeAt(truth.missed[level], row) === 1;
    if (wanted !== null && labelAt(content, level, truth.label[row]) !== wanted) continue;
    if (kind === "missed" && !isMissed) continue;
    bars.push({ start: truth.start[row] / 100, end: truth.end[row] / 100, label: truth.label[row], isTruth: true, isMissed, row });
  }
  for (let row = found.offsets[video]; row < found.offsets[video + 1]; row += 1) {
    const score = found.score[row] / 1000, outcome = outcomeOf(found, level, row);
    if (score < threshold || !concerns(content, level, row, wanted)) continue;
    if (kind !== null && kind !== "missed" && outcome !== kind) continue;
    bars.push({ start: found.start[row] / 100, end: found.end[row] / 100, label: found.label[row], isTruth: false, score, outcome, nearest: found.nearest[row], overlap: found.overlap[row] / 100, row });
  }
  return bars.sort((a, b) => a.start - b.start || a.end - b.end);
}

// What a bar is: a headline, and lines under it.
function describe(content, level, bar) {
  const name = content.levels[level].labels[labelAt(content, level, bar.label)];
  const action = level === "body" ? ` (${content.actions[bar.label]})` : "";
  const span = `${bar.start.toFixed(2)} to ${bar.end.toFixed(2)} s, ${(bar.end - bar.start).toFixed(2)} s long`;
  if (bar.isTruth) return [`Annotated: ${name}${action}`, bar.isMissed ? "missed: no detection of its class overlaps it enough" : "found", span];
  const kind = bar.outcome === NOT_JUDGED ? "not judged: many of its class have higher scores" : `${content.outcomes[bar.outcome]}: ${content.meanings[bar.outcome]}`;
  const near = bar.nearest < 0 ? [] : [`nearest annotation: ${content.actions[content.truth.label[bar.nearest]]}, tIoU ${bar.overlap.toFixed(2)}`];
  return [`Detected: ${name}${action}`, kind, `score ${bar.score.toFixed(2)}, ${span}`, ...near];
}

// A lane for each bar, so that bars with their names do not touch; pixels.
function packLanes(bars, span) {
  const ends = [];
  bars.forEach((bar) => {
    bar.lane = ends.findIndex((end) => end + 4 <= span(bar)[0]);
    if (bar.lane < 0) bar.lane = ends.push(0) - 1;
    ends[bar.lane] = span(bar)[1];
  });
  return ends.length;
}

// Draws what is between two times (`view`, seconds) of bars in the order of time.
function drawTimeline(content, level, video, bars, { width, view, colours }) {
  const duration = Math.max(content.videos[video].duration, ...bars.map((bar) => bar.end), 0.1);
  const [from, to] = view || [0, duration];
  const names = [...new Set(bars.map((bar) => content.parents[bar.label]))].sort((a, b) => a - b);
  const column = Math.ceil(widest(names.map((part) => content.parts[part]), 600)) + 12;
  const isNarrow = width < 480 || column > 0.25 * width;
  const left = isNarrow ? 6 : column, right = width - 12;
  const scale = (right - left) / (to - from);
  const x = (seconds) => left + (seconds - from) * scale;
  const clamp = (pixels) => Math.min(Math.max(pixels, left), right);
  const svg = make("svg", { width, role: "presentation" });

  // Where names go: inside the bar, else right of it, else left of it where the video ends.
  const last = x(duration);
  bars.forEach((bar) => {
    const letter = bar.isTruth || bar.outcome === NOT_JUDGED ? "" : `${content.letters[bar.outcome]} `;
    bar.text = `${letter}${content.actions[bar.label]}`;
    const size = textWidth(bar.text) + 8;
    const [a, b] = [x(bar.start), Math.max(x(bar.end), x(bar.start) + 3)];
    const seen = clamp(b) - clamp(a);
    bar.isInside = size <= seen;
    const isAfter = b + size <= Math.max(last, right);
    bar.textAt = bar.isInside ? clamp(a) + 4 : isAfter ? b + 3 : a - size + 4;
    bar.bare = [a, b];
    bar.named = bar.isInside ? [a, b] : isAfter ? [a, b + size] : [a - size, b];
    if (bar.textAt < left || bar.textAt + size - 6 > width) bar.named = [a, b];
  });
  // With very many bars only annotations keep the names beside them.
  const rowsOf = (span) => names.map((part) => [true, false].map((isTruth) => {
    const mine = bars.filter((bar) => content.parents[bar.label] === part && bar.isTruth === isTruth);
    mine.sort((p, q) => span(p)[0] - span(q)[0]);
    return { mine, count: packLanes(mine, span) };
  }));
  let rows = rowsOf((bar) => bar.named);
  const hasNames = rows.flat().reduce((sum, { count }) => sum + count, 0) <= MOST_LANES;
  if (!hasNames) rows = rowsOf((bar) => (bar.isTruth ? bar.named : bar.bare));

  let y = AXIS + PAD;
  names.forEach((part, place) => {
    const top = y - PAD;
    if (isNarrow) y += LINE;
    const title = label(isNarrow ? left : left - 8, isNarrow ? y - 4 : y + 13, content.parts[part], isNarrow ? "start" : "end", "part");
    rows[place].forEach(({ mine, count }) => {
      mine.forEach((bar) => { bar.y = y + LANE * bar.lane; });
      y += LANE * count;
    });
    y += PAD;
    if (place % 2) svg.append(make("rect", { class: "band", x: 0, y: top, width, height: y - top }));
    svg.append(title);
  });
  const bottom = Math.max(y, AXIS + 34);

  const step = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200].find((s) => scale * s > 52) || 14400;
  const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  const text = (t) => (duration < 90 ? `${Number(t.toFixed(2))} s` : clock(t, digits));
  for (let k = Math.ceil(from / step - 1e-6); k * step <= to + 1e-6; k += 1) {
    const half = textWidth(text(k * step)) / 2;
    const at = Math.min(Math.max(x(k * step), half + 1), width - half - 1);
    svg.append(make("line", { class: "grid", x1: x(k * step), x2: x(k * step), y1: AXIS - 5, y2: bottom }));
    svg.append(make("text", { class: "soft tick", x: at, y: 13, "text-anchor": "middle" }, text(k * step)));
  }

  bars.forEach((bar) => {
    const [a, b] = bar.bare;
    if (b < left || a > right) return;
    const x1 = clamp(a), kind = bar.isTruth ? `truth${bar.isMissed ? " missed" : ""}` : "found";
    const fill = bar.isTruth ? null : colours[bar.outcome === NOT_JUDGED ? colours.length - 1 : bar.outcome];
    bar.node = make("rect", { class: `mark ${kind}`, x: x1, y: bar.y, width: Math.max(clamp(b) - x1, 2), height: BAR, rx: 3, fill, "data-row": bar.row });
    svg.append(tipFor(bar.node, describe(content, level, bar).join("\n")));
    const size = textWidth(bar.text);
    if (bar.textAt < left - 1 || bar.textAt + size > width || !(bar.isInside || bar.isTruth || hasNames)) return;
    const isDark = !bar.isTruth && [0, 2].includes(bar.outcome);
    svg.append(label(bar.textAt, bar.y + 13, bar.text, "start", bar.isInside && !bar.isTruth ? `name ${isDark ? "on-dark" : "on-light"}` : "name"));
  });
  if (!bars.length) svg.append(label(left, AXIS + 22, "Nothing annotated, and nothing detected with such a score.", "start", ""));
  const playhead = make("line", { class: "playhead", x1: 0, x2: 0, y1: AXIS - 6, y2: bottom, visibility: "hidden" });
  svg.append(playhead);
  svg.setAttribute("height", bottom + 2);
  return { svg, bars, playhead, x, left, right, from, to, duration, secondsAt: (pixels) => from + (pixels - left) / scale };
}
