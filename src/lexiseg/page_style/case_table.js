// Sorts and filters tables of class "cases", and copies tables as CSV or LaTeX. Without scripts the tables stay as they are.
"use strict";
(() => {
  const made = (tag, attributes, text) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  };
  const textOf = (cell) => cell.textContent.replace(/\s+/g, " ").trim();
  const titleOf = (table) => (table.caption ? textOf(table.caption) : table.getAttribute("aria-label") ?? "Table");
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? textOf(cell) : Number(cell.dataset.value);
  };

  function sortable(table) {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = made("button", { type: "button", class: "sort" }, textOf(head));
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

  // A list of the values of a column whose heading has the attribute `data-choices`.
  function choice(table, rows, head, column, show) {
    const list = made("select", {}, "");
    const values = [...new Set(rows.map((row) => textOf(row.cells[column])))].filter(Boolean).sort();
    list.append(made("option", { value: "" }, "all"), ...values.map((value) => made("option", { value }, value)));
    list.addEventListener("change", show);
    const label = made("label", {}, `${textOf(head)} `);
    label.append(list);
    return { label, list, fits: (row) => !list.value || textOf(row.cells[column]) === list.value, wanted: values.length > 1 };
  }

  function filterable(table) {
    const rows = [...table.tBodies[0].rows];
    const label = made("label", {}, "Show cases with ");
    const field = made("input", { type: "search", placeholder: "part of a name" }, "");
    const only = made("label", {}, " flagged only");
    const box = made("input", { type: "checkbox" }, "");
    const count = made("span", { role: "status", class: "soft count" }, "");
    label.append(field);
    only.prepend(box);
    const choices = [];
    const show = () => {
      const wanted = field.value.toLowerCase();
      for (const row of rows) {
        row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted)
          || (box.checked && !("flagged" in row.dataset))
          || !choices.every((one) => one.fits(row));
      }
      count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} cases`;
    };
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if ("choices" in head.dataset) choices.push(choice(table, rows, head, column, show));
    });
    field.addEventListener("input", show);
    box.addEventListener("change", show);
    const bar = made("div", { class: "table-tools" }, "");
    bar.append(label, ...choices.filter((one) => one.wanted).map((one) => one.label));
    if (rows.some((row) => "flagged" in row.dataset)) bar.append(only);
    bar.append(count);
    (table.closest(".wide") ?? table).before(bar);
    show();
  }

  // Rows that are shown, without columns that hold drawings.
  const cellsOf = (table) => [...table.rows].filter((row) => !row.hidden).map((row) =>
    [...row.cells].filter((cell) => !cell.classList.contains("draw")).map(textOf));
  const isNumbers = (cell) => /^[-+\d.,%/ ]+( to [-+\d.,%/ ]+)?$/.test(cell);
  // A spreadsheet takes a cell that begins with one of these signs for a formula: an apostrophe goes before one.
  const safeCell = (cell) => (/^[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(cell) && !isNumbers(cell) ? `'${cell}` : cell);
  const csv = (table) => cellsOf(table).map((row) => row.map(safeCell).map((cell) =>
    (/[",]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")).join("\n");
  const latexText = (cell) => cell.replace(/[\\&%$#_{}~^<>]/g, (sign) => ({
    "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
    "<": "\\textless{}", ">": "\\textgreater{}",
  })[sign] ?? `\\${sign}`);
  const latex = (table) => {
    const [head, ...rows] = cellsOf(table);
    const line = (row) => `${row.map(latexText).join(" & ")} \\\\`;
    // Columns of numbers are aligned on the right.
    const shown = [...table.tHead.rows[0].cells].filter((cell) => !cell.classList.contains("draw"));
    const columns = shown.map((cell) => (cell.classList.contains("n") ? "r" : "l")).join("");
    return [`\\begin{tabular}{${columns}}`, "\\hline", line(head), "\\hline",
      ...rows.map(line), "\\hline", "\\end{tabular}"].join("\n");
  };

  function copyable(table) {
    const bar = made("div", { class: "table-tools copy" }, "");
    const said = made("span", { role: "status", class: "soft" }, "");
    for (const [name, write] of [["CSV", csv], ["LaTeX", latex]]) {
      const button = made("button", { type: "button", "aria-label": `Copy as ${name}: ${titleOf(table)}` }, `Copy as ${name}`);
      button.addEventListener("click", async () => {
        const content = write(table);
        bar.querySelector("textarea")?.remove();
        // Empty first: a text that does not change is not read out again.
        said.textContent = "";
        try {
          await navigator.clipboard.writeText(content);
          said.textContent = `Copied as ${name}.`;
        } catch {
          // A browser may forbid a page to write to the clipboard: the text is shown to be copied by hand.
          const field = made("textarea", { rows: 6, readonly: "", "aria-label": `Table as ${name}` }, content);
          bar.append(field);
          field.focus();
          field.select();
          said.textContent = "The browser does not let this page copy. Press Ctrl+C or Cmd+C to copy the selected text.";
        }
      });
      bar.append(button);
    }
    bar.append(said);
    (table.closest(".wide") ?? table).after(bar);
  }

  for (const table of document.querySelectorAll("table.cases")) {
    sortable(table);
    filterable(table);
  }
  for (const table of document.querySelectorAll("table.cases, table.copyable")) copyable(table);
})();
