"use strict";

// Sorting: the button of a heading sorts in ascending order, then in descending order, then restores the order.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    return cell.firstChild === null ? "" : cell.textContent.trim();
  };
  const isEmpty = (value) => value === "" || (typeof value === "string" && value.startsWith("–"));
  const compare = (one, other) =>
    typeof one === "number" && typeof other === "number"
      ? one - other
      : String(one).localeCompare(String(other), "en", { numeric: true });
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const next = { ascending: "descending", descending: null }[heading.getAttribute("aria-sort")];
      const order = next === undefined ? "ascending" : next;
      for (const other of headings) other.removeAttribute("aria-sort");
      if (order === null) {
        body.append(...original);
        return;
      }
      heading.setAttribute("aria-sort", order);
      const rows = [...original].sort((one, other) => {
        const [a, b] = [valueOf(one, column), valueOf(other, column)];
        if (isEmpty(a) || isEmpty(b)) return isEmpty(a) - isEmpty(b);
        return order === "ascending" ? compare(a, b) : compare(b, a);
      });
      body.append(...rows);
    });
  });
}

// Enlarging: one dialog for all images. The browser closes it on Escape and returns the focus to the button.
const dialog = document.getElementById("enlarged");
const large = dialog.querySelector("img");
for (const button of document.querySelectorAll("button.enlarge")) {
  button.addEventListener("click", () => {
    const small = button.querySelector("img");
    const figure = button.closest("figure");
    large.src = small.src;
    large.alt = small.alt;
    large.className = small.className;
    dialog.querySelector("#enlarged-title").textContent = figure.querySelector("h3").textContent;
    dialog.querySelector(".caption").textContent = figure.querySelector("figcaption").textContent;
    dialog.showModal();
  });
}
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
