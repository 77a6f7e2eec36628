"use strict";
// Corrected figures: a table for each measure, with what was found, what is estimated, and a line of
// its interval below.

const CORRECTED = [["count", "Number of events", 1, 1], ["rate", "Events a minute", 1, 2], ["share", "Share of time (%)", 100, 1], ["mean", "Mean duration (s)", 1, 2]];

// Found, corrected and its interval on a line from 0 to the highest value of the table.
function intervalLine([found, value, low, high], top, colour) {
  const at = (number) => `${(100 * Math.min(number, top)) / top}%`;
  const line = make("div", { class: "interval", style: `--colour:${colour}` });
  if (isKnown(low) && isKnown(high)) line.append(make("i", { class: "span", style: `left:${at(low)};right:calc(100% - ${at(high)})` }));
  if (isKnown(found)) line.append(make("i", { class: "spot raw", style: `left:${at(found)}` }));
  if (isKnown(value)) line.append(make("i", { class: "spot", style: `left:${at(value)}` }));
  return line;
}

function correctedTable(rows, groups, [key, title, scale, most]) {
  const scaled = (row) => row.values[key].map((value) => (isKnown(value) ? scale * value : null));
  const top = Math.max(1e-9, ...rows.flatMap(scaled).filter(isKnown));
  const digits = top < 100 ? most : 0;
  const body = rows.flatMap((row, place) => {
    const [found, value, low, high] = scaled(row);
    const colour = groups.length > 1 ? GROUP_COLOURS[groups.indexOf(row.group) % GROUP_COLOURS.length] : BLUE;
    const isFirst = !place || rows[place - 1].name !== row.name;
    const name = make("th", { scope: "row", class: "words" }, isFirst ? row.name : make("span", { class: "sr" }, row.name),
      groups.length > 1 ? make("span", { class: "swatch", style: `--swatch:${colour}` }, row.group) : null);
    const range = isKnown(low) && isKnown(high) ? `${shown(low, digits)} to ${shown(high, digits)}` : "–";
    const cells = [shown(found, key === "count" ? 0 : digits), shown(value, digits), range].map((text, i) => make("td", { class: i === 1 ? "chief" : null }, text));
    return [make("tr", { class: "figures" }, name, ...cells), make("tr", { "aria-hidden": "true" }, make("td", { colspan: 4 }, intervalLine([found, value, low, high], top, colour)))];
  });
  const head = [make("span", { class: "sr" }, "behaviour"), "found", "corrected", "95 %"].map((text, i) => make("th", { scope: "col", class: i ? null : "words" }, text));
  const table = make("table", { class: "corrected" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
  return make("div", {}, make("h3", {}, title), make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `${title}, corrected` }, table));
}

function showCorrected(corrected) {
  if (!corrected) return;
  for (const id of ["corrected", "to-corrected", "about-bars"]) find(id).hidden = false;
  find("about-corrected").textContent = corrected.about;
  const names = [...new Set(corrected.rows.map((row) => row.table))];
  const draw = (grouping) => {
    const groups = [...new Set(corrected.rows.filter((row) => row.table === grouping).map((row) => row.group))].sort();
    const order = [...new Set(corrected.rows.map((row) => row.name))];
    const rows = corrected.rows.filter((row) => row.table === grouping)
      .sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name) || groups.indexOf(a.group) - groups.indexOf(b.group));
    find("corrected-tables").replaceChildren(...CORRECTED.map((measure) => correctedTable(rows, groups, measure)));
  };
  find("corrected-controls").hidden = names.length < 2;
  find("corrected-grouping").append(...options(names.map((name) => [name, name])));
  find("corrected-grouping").addEventListener("change", (event) => draw(event.target.value));
  draw("all");
}
