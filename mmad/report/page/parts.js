"use strict";
// What both pages have: a table that sorts by any column, and a button for light or dark.

// Columns are [key, title, digits]: digits null is text, 0 a count, else a fraction shown in percent.
function drawTable(table, columns, rows, sort) {
  const value = (row) => (row[sort.column] === null ? -Infinity : row[sort.column]);
  const sorted = [...rows].sort((a, b) => {
    const order = typeof value(a) === "string" ? value(a).localeCompare(value(b)) : value(a) - value(b);
    return sort.falling ? -order : order;
  });
  const sortBy = (key, digits) => {
    sort.falling = key === sort.column ? !sort.falling : digits !== null;
    sort.column = key;
    drawTable(table, columns, rows, sort);
    table.querySelector(`[data-key="${key}"]`).focus();
  };
  const arrow = (key) => (key === sort.column ? (sort.falling ? " ↓" : " ↑") : "");
  const state = (key) => (key === sort.column ? (sort.falling ? "descending" : "ascending") : "none");
  const head = make("tr", {}, ...columns.map(([key, title, digits]) => make("th", { scope: "col", "aria-sort": state(key) },
    make("button", { type: "button", "data-key": key, onclick: () => sortBy(key, digits) }, `${title}${arrow(key)}`))));
  const cell = (row, key, digits) => {
    if (digits === null) return row[key] || "–";
    return digits === 0 ? String(row[key]) : percent(row[key], digits);
  };
  const body = sorted.map((row) => make("tr", {}, ...columns.map(([key, , digits]) => make("td", {}, cell(row, key, digits)))));
  table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
}

function connectTheme(button) {
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
  });
}
