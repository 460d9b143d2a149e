"use strict";
// The slider: what the page says of each budget stands in it as data, in the words in which it is shown.
const budgets = JSON.parse(document.getElementById("budgets").textContent);
const slider = document.getElementById("budget");
const line = (name) => document.querySelector(`[id$="-${name}"]`);
const middle = (element) => { const box = element.getBBox(); return box.x + box.width / 2; };

const length = (share) => share.replace(" ", ""); // as style sheets write per cent

function show(index) {
  const budget = budgets[index];
  for (const [name, text] of Object.entries(budget.cards)) document.getElementById(name).textContent = text;
  slider.setAttribute("aria-valuetext", `${budget.cards.remove} removed, ${budget.cards.size}`);
  const [start, end] = [middle(line("budget-first")), middle(line("budget-last"))];
  line("budget-chosen").setAttribute("transform", `translate(${(end - start) * budget.place}, 0)`);
  fill("kinds", budget.kinds);
  fill("layers", budget.layers);
  for (const cell of document.querySelectorAll("#map [data-layer]")) {
    const [name, became, kept] = budget.layers[cell.dataset.layer];
    cell.title = `${name}: ${became}`;
    cell.firstElementChild.style.height = length(kept);
  }
}

function fill(table, rows) {
  const shown = document.querySelectorAll(`#${table} tr:not(thead tr)`);
  rows.forEach((texts, row) => texts.forEach((text, column) => {
    const cell = shown[row].children[column];
    const bar = cell.querySelector(".bar i");
    if (bar) {
      cell.firstChild.textContent = `${text} `;
      bar.style.width = length(text);
    } else {
      cell.textContent = text;
    }
  }));
}

// the address may name a budget, by its place: page.html#12
const named = Number(location.hash.slice(1));
if (Number.isInteger(named) && named > 0 && named < budgets.length) slider.value = named;
slider.addEventListener("input", () => show(Number(slider.value)));
show(Number(slider.value));
