// Sorts and filters tables of class "cases", and copies tables as CSV or LaTeX. Without scripts the tables stay as they are.
"use strict";
(() => {
  const made = (tag, attributes, text) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  };
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
  };

  function sortable(table) {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = made("button", { type: "button", class: "sort" }, head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const rising = head.getAttribute("aria-sort") !== "ascending";
        for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", rising ? "ascending" : "descending");
        const compare = (a, b) => {
          const [x, y] = [valueOf(a, column), valueOf(b, column)];
          // Rows without a value stay at the end in both directions.
          if (x === "" || y === "") return (x === "") - (y === "");
          const order = typeof x === "number" && typeof y === "number"
            ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
          return rising ? order : -order;
        };
        body.append(...[...body.rows].sort(compare));
      });
    });
  }

  function filterable(table) {
    const rows = [...table.tBodies[0].rows];
    const label = made("label", {}, "Show cases with ");
    const field = made("input", { type: "search", placeholder: "part of a name" }, "");
    const only = made("label", {}, " flagged only");
    const box = made("input", { type: "checkbox" }, "");
    const count = made("span", { role: "status", class: "soft" }, "");
    label.append(field);
    only.prepend(box);
    const show = () => {
      const wanted = field.value.toLowerCase();
      for (const row of rows) {
        row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted) || (box.checked && !("flagged" in row.dataset));
      }
      count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} cases`;
    };
    field.addEventListener("input", show);
    box.addEventListener("change", show);
    const bar = made("div", { class: "table-tools" }, "");
    bar.append(label, only, count);
    table.before(bar);
    show();
  }

  const cellsOf = (table) => [...table.rows].filter((row) => !row.hidden).map((row) =>
    [...row.cells].map((cell) => cell.textContent.replace(/\s+/g, " ").trim()));
  const csv = (table) => cellsOf(table).map((row) =>
    row.map((cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")).join("\n");
  const latexText = (cell) => cell.replace(/\\/g, "\\textbackslash ").replace(/[&%$#_{}]/g, "\\$&").replace(/[~^]/g, "\\$&{}");
  const latex = (table) => {
    const [head, ...rows] = cellsOf(table);
    const line = (row) => `${row.map(latexText).join(" & ")} \\\\`;
    return [`\\begin{tabular}{l${"r".repeat(head.length - 1)}}`, "\\hline", line(head), "\\hline",
      ...rows.map(line), "\\hline", "\\end{tabular}"].join("\n");
  };

  function copyable(table) {
    const bar = made("div", { class: "table-tools copy" }, "");
    for (const [name, write] of [["CSV", csv], ["LaTeX", latex]]) {
      const button = made("button", { type: "button" }, `Copy as ${name}`);
      button.addEventListener("click", async () => {
        const content = write(table);
        try {
          await navigator.clipboard.writeText(content);
          button.textContent = `${name} is copied`;
        } catch {
          // A page from a disk may not write to the clipboard: the text is shown to be copied by hand.
          const field = made("textarea", { rows: 6, readonly: "", "aria-label": `Table as ${name}` }, content);
          bar.append(field);
          field.select();
        }
      });
      bar.append(button);
    }
    table.after(bar);
  }

  for (const table of document.querySelectorAll("table.cases")) {
    sortable(table);
    filterable(table);
  }
  for (const table of document.querySelectorAll("table.cases, table.copyable")) copyable(table);
})();
