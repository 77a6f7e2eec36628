"use strict";
// What both pages have: cards with charts, a table that sorts by any column, a video with its own
// controls, and a button for light or dark.

const find = (id) => document.getElementById(id);

// A chart that is drawn again when its width changes.
function card(title, note, draw, { legend, wide } = {}) {
  const place = make("div", { class: "plot" });
  const node = make("div", { class: wide ? "chart wide" : "chart" }, make("h3", {}, title), note ? make("p", { class: "note" }, note) : null, legend || null, place);
  let drawn = 0;
  node.redraw = () => {
    const width = Math.floor(place.clientWidth);
    if (width > 0 && width !== drawn) { drawn = width; place.replaceChildren(draw(width)); }
  };
  sizes.observe(place);
  return node;
}
const sizes = new ResizeObserver((changes) => changes.forEach(({ target }) => target.parentElement?.redraw()));

function legendOf(names, colours) {
  return make("div", { class: "legend" }, ...names.map((name, i) => make("span", { style: `--swatch:${colours[i]}` }, name)));
}

// Columns are [key, title, digits]: digits null is text, 0 a count, else a fraction shown in
// percent; `press` is called with the row whose name is pressed.
function drawTable(table, columns, rows, sort, press) {
  const value = (row) => row[sort.column] ?? -Infinity;
  const sorted = [...rows].sort((a, b) => {
    const order = typeof value(a) === "string" ? value(a).localeCompare(value(b)) : value(a) - value(b);
    return sort.falling ? -order : order;
  });
  const sortBy = (key, digits) => {
    sort.falling = key === sort.column ? !sort.falling : digits !== null;
    sort.column = key;
    drawTable(table, columns, rows, sort, press);
    table.querySelector(`[data-key="${key}"]`).focus();
  };
  const arrow = (key) => (key === sort.column ? (sort.falling ? " ↓" : " ↑") : "");
  const state = (key) => (key === sort.column ? (sort.falling ? "descending" : "ascending") : "none");
  const head = make("tr", {}, ...columns.map(([key, title, digits]) => make("th", { scope: "col", class: digits === null ? "words" : null, "aria-sort": state(key) },
    make("button", { type: "button", "data-key": key, onclick: () => sortBy(key, digits) }, `${title}${arrow(key)}`))));
  const cell = (row, [key, , digits], place) => {
    const text = digits === null ? row[key] || "–" : digits === 0 ? String(row[key]) : percent(row[key], digits);
    return make("td", { class: digits === null ? "words" : null }, press && !place ? make("button", { type: "button", class: "link", onclick: () => press(row) }, text) : text);
  };
  const body = sorted.map((row) => make("tr", {}, ...columns.map((column, place) => cell(row, column, place))));
  table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
}

// A confusion matrix. Labels stand at their row and column whole; it scrolls where it is wider than
// the page. Large fields have their number; `press` is called with the row and column of a field.
function drawMatrix(host, { confusion, labels, right, wrong, press, largest = 26 }) {
  const used = labels.map((_, i) => i).filter((i) => confusion[i].some((n) => n) || confusion.some((row) => row[i]));
  const margin = Math.ceil(widest(used.map((i) => labels[i]))) + 10;
  const cell = Math.max(15, Math.min(largest, Math.floor((host.clientWidth - margin - 24) / Math.max(used.length, 1))));
  const size = cell * used.length;
  const svg = svgOf(margin + size + 8, size + margin + 8, "confusion matrix");
  used.forEach((i, row) => {
    const total = confusion[i].reduce((a, b) => a + b, 0);
    svg.append(label(margin - 6, 4 + cell * (row + 0.5) + 4, labels[i], "end", ""));
    svg.append(make("text", { transform: `translate(${margin + cell * (row + 0.5) - 4} ${size + 10}) rotate(90)` }, labels[i]));
    used.forEach((j, column) => {
      const count = confusion[i][j];
      const share = total ? count / total : 0;
      const rect = make("rect", { class: "mark cell", x: margin + cell * column, y: 4 + cell * row, width: cell - 1, height: cell - 1, fill: i === j ? right : wrong, "fill-opacity": count ? 0.15 + 0.85 * share : 0.05, onclick: () => press(i, j) });
      svg.append(tipFor(rect, `annotated ${labels[i]}\nrecognised as ${labels[j]}\n${count} of ${total} (${percent(share)} %)`));
      if (cell > 30) svg.append(make("text", { class: "in-cell", x: margin + cell * (column + 0.5), y: 4 + cell * (row + 0.5) + 4, "text-anchor": "middle", fill: share > 0.5 ? "#ffffff" : null }, String(count)));
    });
  });
  host.replaceChildren(svg);
}

function connectTheme() {
  find("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
  });
}

function clock(seconds, digits = 0) {
  const total = Number(Math.max(seconds, 0).toFixed(digits));
  const hours = Math.floor(total / 3600), minutes = Math.floor(total / 60) % 60;
  const rest = (total % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

// The list at the side, a listbox: one of its numbers is chosen by mouse, arrows, or keys n and p.
function connectList(onChoose) {
  const host = find("list");
  const list = { order: [], chosen: -1 };
  list.step = (by) => {
    if (!list.order.length) return;
    const place = list.order.indexOf(list.chosen) + by;
    onChoose(list.order[Math.min(Math.max(place, 0), list.order.length - 1)]);
  };
  list.fill = (order, partsOf) => {
    list.order = order;
    host.replaceChildren(...order.map((i) => make("div", { role: "option", id: `item-${i}`, class: "item", "aria-selected": "false", "data-number": i }, ...partsOf(i))));
    if (!order.length) host.append(make("p", { class: "note" }, "None fits."));
  };
  list.mark = (number) => {
    list.chosen = number;
    host.querySelector('[aria-selected="true"]')?.setAttribute("aria-selected", "false");
    const item = find(`item-${number}`);
    if (!item) return;
    item.setAttribute("aria-selected", "true");
    host.setAttribute("aria-activedescendant", item.id);
    const top = item.offsetTop - host.offsetTop;
    if (top < host.scrollTop || top + item.offsetHeight > host.scrollTop + host.clientHeight) host.scrollTop = top - host.clientHeight / 3;
  };
  host.addEventListener("click", (event) => {
    const item = event.target.closest(".item");
    if (item) onChoose(Number(item.dataset.number));
  });
  host.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    list.step(by);
  });
  find("next").addEventListener("click", () => list.step(1));
  find("previous").addEventListener("click", () => list.step(-1));
  document.addEventListener("keydown", (event) => {
    if (!isTyping(event) && ["n", "p"].includes(event.key)) list.step(event.key === "n" ? 1 : -1);
  });
  return list;
}

// Buttons for the levels, one of which is pressed.
function connectLevels(names, setLevel) {
  find("levels").hidden = names.length < 2;
  const words = { action: "Actions", body: "Body parts" };
  find("levels").append(...names.map((name) => make("button", { type: "button", "data-level": name, onclick: () => setLevel(name) }, words[name] || name)));
}
function pressLevel(name) {
  find("levels").querySelectorAll("button").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.level === name)));
}

// What a page is about, and its main numbers as [name, fraction or text, digits, meaning].
function drawHead(facts, tiles) {
  find("facts").replaceChildren(...facts.map(([name, value]) => make("span", {}, name ? make("b", {}, `${name} `) : null, value)));
  find("tiles").replaceChildren(...tiles.map(([name, value, digits, meaning]) => make("div", { class: "tile", title: meaning }, make("b", {}, typeof value === "string" ? value : `${percent(value, digits)} %`), name)));
}

// Whether a key belongs to a field or a button and is none of the page's.
const isTyping = (event) => ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey;

// The video, large, with its controls below it and nothing over it; `onTime` gets the seconds.
function connectPlayer({ onTime = () => {} } = {}) {
  const player = find("player"), stage = find("stage");
  const span = { range: null, asked: null };
  const isThere = () => !player.hidden;
  const tell = () => {
    const digits = player.duration < 600 ? 1 : 0;
    find("clock").textContent = isThere() ? `${clock(player.currentTime, digits)} / ${clock(player.duration || 0, digits)}` : "";
    find("play").textContent = player.paused ? "▶ play" : "❚❚ pause";
  };
  const follow = () => {
    const { range } = span;
    if (range && find("repeat").checked && !player.paused && player.currentTime >= range[1]) player.currentTime = range[0];
    tell();
    if (isThere()) onTime(player.currentTime);
    if (!player.paused) requestAnimationFrame(follow);
  };
  const show = (is) => {
    player.hidden = !is;
    find("no-video").hidden = is;
    find("transport").hidden = !is;
    find("bench").classList.toggle("without-video", !is);
  };
  const toggle = () => { if (isThere()) (player.paused ? player.play() : player.pause()); };
  player.addEventListener("loadedmetadata", () => {
    show(true);
    stage.style.setProperty("--aspect", player.videoWidth / player.videoHeight || 1);
    // Small videos are shown with sharp pixels, not as a blur.
    stage.classList.toggle("small", player.videoWidth < 240);
    player.playbackRate = Number(find("speed").value);
    if (span.asked !== null) player.currentTime = span.asked;
    span.asked = null;
    follow();
  });
  player.addEventListener("error", () => { if (player.hasAttribute("src")) show(false); });
  player.addEventListener("play", follow);
  for (const kind of ["pause", "timeupdate", "seeked"]) player.addEventListener(kind, () => { tell(); if (isThere()) onTime(player.currentTime); });
  player.addEventListener("ended", () => { if (find("repeat").checked) { player.currentTime = span.range ? span.range[0] : 0; player.play(); } });
  player.addEventListener("click", toggle);
  find("play").addEventListener("click", toggle);
  find("speed").addEventListener("change", () => { player.playbackRate = Number(find("speed").value); });
  find("sound").addEventListener("change", () => { player.muted = !find("sound").checked; });
  find("full").addEventListener("click", () => stage.requestFullscreen?.());
  find("file").addEventListener("change", (event) => { if (event.target.files.length) player.src = URL.createObjectURL(event.target.files[0]); });
  document.addEventListener("keydown", (event) => {
    if (isTyping(event) || event.key !== " " || event.target.tagName === "BUTTON" || !isThere()) return;
    event.preventDefault();
    toggle();
  });
  return {
    isThere,
    toggle,
    open(file) {
      player.pause();
      player.removeAttribute("src");
      player.load();
      span.range = span.asked = null;
      show(file !== null);
      player.hidden = true;
      if (file !== null) player.src = file;
      tell();
    },
    // Go to a time, and repeat the range from there on if that is wanted.
    seek(seconds, range = null) {
      span.range = range;
      if (isThere()) player.currentTime = seconds; else span.asked = seconds;
    },
    play() { if (isThere()) player.play(); },
  };
}
