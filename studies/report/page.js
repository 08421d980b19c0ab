"use strict";
// Whoever points at a network, or reaches it by keyboard, sees what it is, wherever it is shown.
const said = document.getElementById("said");
let lit = null;
function light(trial) {
  if (trial === lit) return;
  lit = trial;
  for (const mark of document.querySelectorAll(".lit")) mark.classList.remove("lit");
  for (const mark of document.querySelectorAll(`[data-trial="${trial}"]`)) mark.classList.add("lit");
  const told = document.querySelector(`[data-trial="${trial}"][data-note]`);
  if (told && said) said.textContent = told.dataset.note;
}
for (const kind of ["pointerover", "focusin", "click"]) {
  document.addEventListener(kind, (event) => {
    const mark = event.target.closest("[data-trial]");
    if (mark) light(mark.dataset.trial);
  });
}

// Whoever chooses a heading sorts the table by its column: numbers first the largest, names from A.
const SIZES = { k: 1e3, M: 1e6, G: 1e9, ms: 1e-3, s: 1, min: 60, h: 3600 };
function value(cell) {
  const found = /^([+-]?[\d.,]+)(?::(\d+))?\s*(ms|min|[kMGsh])?/.exec(cell.textContent.trim());
  if (!found) return NaN;
  const [, whole, sixtieths = 0, unit] = found;
  return (Number(whole.replaceAll(",", "")) + sixtieths / 60) * (SIZES[unit] || 1);
}
function sort(heading) {
  const body = heading.closest("table").tBodies[0], at = heading.cellIndex;
  const numbers = heading.classList.contains("number");
  const before = heading.getAttribute("aria-sort");
  const now = before === "descending" || (before === "none" && !numbers) ? "ascending" : "descending";
  const order = (a, b) => numbers
    ? (Number.isNaN(value(a)) ? -Infinity : value(a)) - (Number.isNaN(value(b)) ? -Infinity : value(b))
    : a.textContent.localeCompare(b.textContent, "en", { numeric: true });
  const rows = [...body.rows].sort((a, b) => order(a.cells[at], b.cells[at]) || 0);
  body.append(...(now === "ascending" ? rows : rows.reverse()));
  for (const other of heading.parentNode.cells) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", now);
}
for (const heading of document.querySelectorAll("table:not(.layers, .confusion) th")) {
  if (heading.closest("table").tBodies[0].rows.length < 2) continue;
  heading.tabIndex = 0;
  heading.setAttribute("aria-sort", "none");
  heading.addEventListener("click", () => sort(heading));
  heading.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(heading); }
  });
}
