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
