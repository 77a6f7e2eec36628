"use strict";
// The page of predicted emotions: videos with their emotion and actions, confusion, emotions, actions.

const content = JSON.parse(find("content").textContent);
const RIGHT = "#228833", WRONG = "#aa3377", OTHER = "#777777";
const state = { video: -1, truth: null, guess: null, action: null, emotions: { column: "videos", falling: true }, actions: { column: "ap", falling: true } };
const player = connectPlayer();
const list = connectList(choose);
const { emotions, actions, videos } = content;
const best = videos.map((video) => video.scores.indexOf(Math.max(...video.scores)));
const isWrong = (i) => best[i] !== videos[i].truth;
const sure = (i) => videos[i].scores[best[i]];

function drawList() {
  const text = find("find").value.trim().toLowerCase();
  const order = videos.map((_, i) => i).filter((i) => (!find("only-wrong").checked || isWrong(i))
    && (state.truth === null || videos[i].truth === state.truth) && (state.guess === null || best[i] === state.guess)
    && (state.action === null || videos[i].actions.includes(state.action)) && videos[i].id.toLowerCase().includes(text))
    .sort((a, b) => Number(isWrong(b)) - Number(isWrong(a)) || sure(b) - sure(a));
  list.fill(order, (i) => {
    const { id, picture } = videos[i];
    const parts = [make("span", { class: "item-name" }, id), make("span", { class: "count" }, `${isWrong(i) ? "✗" : "✓"} ${emotions[best[i]]} ${percent(sure(i), 0)} %`)];
    if (picture) parts.push(make("img", { class: "strip", src: picture, alt: "", loading: "lazy" }));
    return [...parts, make("span", { class: "stripes", style: `width:${100 * sure(i)}%;background:${isWrong(i) ? WRONG : RIGHT}` })];
  });
  const all = videos.length;
  find("how-many").textContent = order.length === all ? counted(all, "video") : `${order.length} of ${counted(all, "video")}`;
  find("clear").hidden = order.length === all && state.truth === null && state.guess === null && state.action === null && !find("only-wrong").checked && !text;
  if (order.includes(state.video)) list.mark(state.video);
  else if (order.length) choose(order[0]);
}

// Annotated actions, and others that are at least as likely as the least of what is shown anyway.
function choose(number) {
  state.video = number;
  list.mark(number);
  const video = videos[number];
  player.open(video.file);
  const felt = emotions.map((name, i) => ({ name, value: 100 * video.scores[i], colour: i === video.truth ? RIGHT : i === best[number] ? WRONG : OTHER }));
  const cards = [card(video.id, `Annotated: ${emotions[video.truth]}. Green is the annotated emotion.`, (width) => rowChart(width, { rows: felt, unit: " %", digits: 1, name: "probabilities of the emotions" }))];
  const names = video.actions.map((i) => actions[i]).join(", ") || "none";
  if (video.shown.length) {
    const rows = video.shown.map(([action, score]) => ({ name: actions[action], value: 100 * score, colour: video.actions.includes(action) ? RIGHT : OTHER }));
    cards.push(card("Actions", `Annotated: ${names}. The likeliest, and the annotated ones in green:`, (width) => rowChart(width, { rows, unit: " %", digits: 1, name: "scores of actions" })));
  } else cards.push(make("p", { class: "note" }, `Annotated actions: ${names}.`));
  find("video").replaceChildren(...cards);
}

function show({ truth = state.truth, guess = state.guess, action = state.action, isFar = false }) {
  Object.assign(state, { truth, guess, action });
  for (const key of ["truth", "guess", "action"]) find(key).value = state[key] === null ? "" : String(state[key]);
  drawList();
  if (isFar) find("h-videos").scrollIntoView({ behavior: "smooth" });
}

const EMOTION_COLUMNS = [["name", "emotion", null], ["videos", "videos", 0], ["guessed", "recognised as it", 0], ["recall", "accuracy (%)", 1], ["precision", "precision (%)", 1], ["f1", "F1 (%)", 1], ["taken", "most often taken for", null]];
const ACTION_COLUMNS = [["name", "action", null], ["videos", "videos", 0], ["ap", "AP (%)", 1]];

connectTheme();
drawHead(content.facts, content.tiles.map(([name, value, meaning]) => [name, value, 2, meaning]));
const options = (names) => [make("option", { value: "" }, "all"), ...names.map((name, i) => make("option", { value: i }, name))];
for (const id of ["truth", "guess"]) find(id).replaceChildren(...options(emotions));
find("action").replaceChildren(make("option", { value: "" }, "any"), ...options(actions).slice(1).filter((_, i) => videos.some((video) => video.actions.includes(i))));
for (const id of ["truth", "guess", "action"]) find(id).addEventListener("change", (event) => show({ [id]: event.target.value === "" ? null : Number(event.target.value) }));
find("find").addEventListener("input", drawList);
find("only-wrong").addEventListener("change", drawList);
find("clear").addEventListener("click", () => { find("find").value = ""; find("only-wrong").checked = false; show({ truth: null, guess: null, action: null }); });
const press = (truth, guess) => show({ truth, guess, action: null, isFar: true });
drawMatrix(find("confusion"), { confusion: content.confusion, labels: emotions, right: RIGHT, wrong: WRONG, press, largest: 44 });
drawTable(find("emotions"), EMOTION_COLUMNS, content.classes, state.emotions, (row) => press(content.classes.indexOf(row), null));
find("actions-frame").hidden = !content.precisions.length;
find("about-actions").textContent = content.precisions.length ? "Press an action to see the videos that have it, a heading to sort." : "No scores of actions: this model reads faces alone.";
drawTable(find("actions"), ACTION_COLUMNS, content.precisions, state.actions, (row) => show({ truth: null, guess: null, action: row.label, isFar: true }));
show({});
