"use strict";
const form = document.getElementById("filter");
const words = document.getElementById("words");
const kind = document.getElementById("kind");
const tables = Array.from(document.querySelectorAll("table.data"));
const rowsOf = (table) => Array.from(table.tBodies[0].rows);
const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function filter() {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const counts = tables.map((table) => {
    const rows = rowsOf(table);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word)) || (kind.value !== "" && row.dataset.word !== kind.value);
    }
    return rows.filter((row) => !row.hidden).length + " of " + rows.length + " " + table.dataset.what;
  });
  document.getElementById("count").textContent = counts.join(", ");
}

function sort(table, column, head) {
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = (row) => row.cells[column].textContent.trim();
  const sorted = rowsOf(table).sort((a, b) => {
    const [first, second] = [value(a), value(b)];
    if (!first || !second) return (first ? 0 : 1) - (second ? 0 : 1); // unknown values come last
    return (down ? -1 : 1) * order.compare(first, second);
  });
  table.tBodies[0].append(...sorted);
}

for (const table of tables) {
  table.dataset.what = table.caption.textContent.toLowerCase();
  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(table, column, head));
  });
}
form.addEventListener("input", filter);
form.addEventListener("reset", () => setTimeout(filter));
form.addEventListener("submit", (event) => event.preventDefault());
form.hidden = false;
filter();
