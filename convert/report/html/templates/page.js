"use strict";
// Sorts and filters tables, and unfolds everything for printing. The page is complete without it.
(() => {
  const value = (row, column) => {
    const cell = row.cells[column];
    const given = cell && cell.dataset.value;
    return given === undefined ? (cell ? cell.textContent.trim() : "") : Number(given);
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0);
  // The last row of a head has a title for each column.
  const heads = (table) => [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const sort = (table, column) => {
    const all = heads(table);
    const descending = all[column].getAttribute("aria-sort") === "ascending";
    const rows = [...table.tBodies[0].rows].map((row, place) => [value(row, column), place, row]);
    rows.sort((a, b) => (descending ? compare(b[0], a[0]) : compare(a[0], b[0])) || a[1] - b[1]);
    all.forEach((head) => head.removeAttribute("aria-sort"));
    all[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
    table.tBodies[0].append(...rows.map((row) => row[2]));
  };
  for (const table of document.querySelectorAll("table")) {
    if (!table.tHead || table.tBodies[0].rows.length < 2) continue;
    heads(table).forEach((head, column) => {
      if (!head.textContent.trim() || head.querySelector("a")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, column));
      head.append(button);
    });
    if (!("filter" in table.dataset) || table.tBodies[0].rows.length < 10) continue;
    const label = document.createElement("label");
    const input = document.createElement("input");
    label.className = "filter";
    input.type = "search";
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase();
      for (const row of table.tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
    label.append("Show only rows with ", input);
    table.parentElement.before(label);
  }
  const shown = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", shown);
  shown();
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((each) => { each.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((each) => { each.open = false; }));
})();
