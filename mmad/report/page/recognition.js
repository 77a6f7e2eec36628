"use strict";
// The page of a recogniser: clips with their predictions, confusion, classes, and features.

const content = JSON.parse(find("content").textContent);
const COLOURS = content.colours, RIGHT = "#228833", WRONG = "#aa3377";
const state = { level: Object.keys(content.levels)[0], clip: -1, sort: { column: "clips", falling: true }, truth: null, guess: null };
const player = connectPlayer();
const list = connectList(choose);
const actions = content.levels.action.labels;
const atLevel = (label) => (state.level === "body" ? content.parents[label] : label);
const isWrong = (clip) => clip.guesses[0] !== clip.truth;

function drawConfusion() {
  const { confusion, labels } = content.levels[state.level];
  const press = (truth, guess) => show({ truth, guess, isFar: true });
  drawMatrix(find("confusion"), { confusion, labels, right: RIGHT, wrong: WRONG, press });
}

const COLUMNS = [["name", "class", null], ["clips", "clips", 0], ["guessed", "recognised as it", 0], ["recall", "recall (%)", 1], ["precision", "precision (%)", 1], ["f1", "F1 (%)", 1], ["taken", "most often taken for", null]];

function drawFeatures() {
  const { features } = content;
  find("about-features").textContent = features ? `Each dot is a clip, clips alike are close. ${features.how}` : "Not there: mmad predict RUN --details writes features and probabilities over time.";
  if (!features) return;
  // Labels without body parts have a colour each, as long as there are colours.
  const groups = content.levels.body ? content.levels.body.labels : actions;
  const groupOf = (label) => (content.levels.body ? content.parents[label] : label);
  const draw = (width) => {
    const height = Math.min(560, Math.max(260, 0.62 * width));
    const svg = svgOf(width, height, "features of clips");
    features.x.forEach((x, i) => {
      const clip = content.clips[i];
      const mark = make("circle", { class: "mark", cx: 8 + (width - 16) * x, cy: 8 + (height - 16) * features.y[i], r: 4.5, fill: COLOURS[groupOf(clip.truth) % COLOURS.length], "fill-opacity": 0.8, onclick: () => { choose(i); find("h-clips").scrollIntoView({ behavior: "smooth" }); } });
      svg.append(tipFor(mark, `${clip.id}\n${actions[clip.truth]}\nrecognised as ${actions[clip.guesses[0]]}`));
    });
    return svg;
  };
  find("features").replaceChildren(card(content.levels.body ? "Clips by body part" : "Clips by class", null, draw, { legend: legendOf(groups, groups.map((_, i) => COLOURS[i % COLOURS.length])) }));
}

function drawList() {
  const text = find("find").value.trim().toLowerCase();
  const order = content.clips.map((_, i) => i).filter((i) => {
    const clip = content.clips[i];
    return (!find("only-wrong").checked || isWrong(clip)) && (state.truth === null || atLevel(clip.truth) === state.truth)
      && (state.guess === null || atLevel(clip.guesses[0]) === state.guess) && clip.id.toLowerCase().includes(text);
  }).sort((a, b) => Number(isWrong(content.clips[b])) - Number(isWrong(content.clips[a])) || content.clips[b].scores[0] - content.clips[a].scores[0]);
  list.fill(order, (i) => {
    const clip = content.clips[i];
    return [make("span", { class: "item-name" }, clip.id), make("span", { class: "count" }, `${isWrong(clip) ? "✗" : "✓"} ${percent(clip.scores[0], 0)} %`), make("span", { class: "stripes", style: `width:${100 * clip.scores[0]}%;background:${isWrong(clip) ? WRONG : RIGHT}` })];
  });
  const all = content.clips.length;
  find("how-many").textContent = order.length === all ? counted(all, "clip") : `${order.length} of ${counted(all, "clip")}`;
  find("clear").hidden = order.length === all && state.truth === null && state.guess === null && !find("only-wrong").checked && !text;
  if (order.includes(state.clip)) list.mark(state.clip);
  else if (order.length) choose(order[0]);
}

function choose(number) {
  state.clip = number;
  list.mark(number);
  const clip = content.clips[number];
  player.open(clip.file);
  const rows = clip.guesses.map((guess, k) => ({ name: actions[guess], value: 100 * clip.scores[k], colour: guess === clip.truth ? RIGHT : WRONG }));
  const cards = [card(clip.id, `Annotated: ${actions[clip.truth]}. Its best predictions, green where right:`, (width) => rowChart(width, { rows, unit: " %", digits: 1, name: "best predictions" }))];
  if (clip.curves) {
    const lines = {};
    clip.curves.labels.forEach((one, k) => { lines[actions[one]] = clip.curves.values[k].map((value) => value / 10); });
    const others = COLOURS.filter((colour) => colour !== RIGHT);
    const colours = clip.curves.labels.map((one, k) => (one === clip.truth ? RIGHT : others[k % others.length]));
    const x = clip.curves.values[0].map((_, t) => t + 1);
    cards.push(card("Probability over time", "Of the frame head, in the middle view of the clip.", (width) => lineChart(width, { x, lines, colours, top: 100, unit: " %", name: "probabilities over time", xName: "pair of frames", from: 1, to: Math.max(2, x.length) }), { legend: legendOf(Object.keys(lines), colours) }));
  }
  find("clip").replaceChildren(...cards);
}

function show({ truth = state.truth, guess = state.guess, isFar = false }) {
  Object.assign(state, { truth, guess });
  find("truth").value = truth === null ? "" : String(truth);
  find("guess").value = guess === null ? "" : String(guess);
  drawList();
  if (isFar) find("h-clips").scrollIntoView({ behavior: "smooth" });
}

function setLevel(name) {
  state.level = name;
  pressLevel(name);
  const level = content.levels[name];
  drawHead(content.facts, [
    ["top-1", level.top1, 2, "clips whose first prediction is right"], ["top-5", level.top5, 2, "clips with the right class among the first five predictions"],
    ["class mean", level.mean_class_accuracy, 2, "accuracy of each class, averaged over classes"],
    ["F1, macro", level.f1_macro, 2, "mean over classes"], ["F1, micro", level.f1_micro, 2, "over all clips"], ["F1_mean", content.f1_mean, 2, content.levels.body ? "mean of macro and micro F1 of actions and body parts" : "mean of macro and micro F1"],
  ]);
  for (const id of ["truth", "guess"]) find(id).replaceChildren(make("option", { value: "" }, "all"), ...level.classes.map((row, i) => [i, row]).filter(([, row]) => row.clips || row.guessed).map(([i, row]) => make("option", { value: i }, row.name)));
  drawConfusion();
  drawTable(find("classes"), COLUMNS, level.classes, state.sort, (row) => show({ truth: level.classes.indexOf(row), guess: null, isFar: true }));
  show({ truth: null, guess: null });
}

connectTheme();
connectLevels(Object.keys(content.levels), setLevel);
for (const id of ["truth", "guess"]) find(id).addEventListener("change", (event) => show({ [id]: event.target.value === "" ? null : Number(event.target.value) }));
find("find").addEventListener("input", drawList);
find("only-wrong").addEventListener("change", drawList);
find("clear").addEventListener("click", () => { find("find").value = ""; find("only-wrong").checked = false; show({ truth: null, guess: null }); });
setLevel(state.level);
drawFeatures();
