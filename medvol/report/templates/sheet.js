// SPDX-License-Identifier: Apache-2.0
// Shows the cases of a page: sorted by any column, searched, as pictures or as a table, by pages.
const PAGE = 200;
const sheet = document.querySelector(".sheet");
const { columns, folders, roots, sorted_by } =
  JSON.parse(document.getElementById("cases-data").textContent);
const tool = (name) => sheet.querySelector(`[name=${name}]`);
const shown = sheet.querySelector(".shown");
const collator = new Intl.Collator("en", { numeric: true });
const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });
const texts = columns.filter((column) => !column.numbers);
const words = folders.map((_, row) =>
  texts.map(({ cells }) => cells[row] ?? "").join("\n").toLowerCase());
const start = Math.max(0, columns.findIndex(({ name }) => name === sorted_by));
const view = { by: start, up: !columns[start].numbers, find: "", table: false, page: 0 };
let rows = [];

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};
const text = (column, row) => {
  const cell = column.cells[row];
  if (cell === null || cell === "") return "";
  return column.numbers ? digits.format(cell) : cell;
};
const complete = (row) => roots.filter((root) => root.complete[row]);
const address = (root, row, file) =>
  root.address + folders[row].split("/").map(encodeURIComponent).join("/") + "/" + file;

function arrange() {
  const { cells, numbers } = columns[view.by];
  const wanted = view.find.toLowerCase().split(/\s+/).filter(Boolean);
  const order = numbers ? (a, b) => a - b : collator.compare;
  const missing = (row) => cells[row] === null || cells[row] === "";
  rows = [...folders.keys()].filter((row) => wanted.every((word) => words[row].includes(word)));
  rows.sort((a, b) => missing(a) - missing(b)
    || (missing(a) ? 0 : order(cells[a], cells[b]) * (view.up ? 1 : -1)) || a - b);
  view.page = 0;
  show();
}

function pictures(row) {
  return complete(row).map((root) => {
    const image = element("img", { alt: "", loading: "lazy", width: 128, height: 128,
                                   src: address(root, row, root.picture) });
    image.addEventListener("error", () => image.remove());
    const link = element("a", { href: address(root, row, root.page), tabIndex: -1,
                                ariaHidden: "true" }, image); // the name beside it leads there too
    return root.caption ? element("span", {}, link, root.caption) : link;
  });
}

function name(row) {
  const said = text(columns[0], row);
  const root = complete(row).at(-1);
  return root ? element("a", { href: address(root, row, root.page) }, said) : said;
}

function tile(row) {
  const chosen = columns[view.by];
  const said = view.by === 0 ? "" : `${chosen.name}: ${text(chosen, row) || "–"}`;
  return element("figure", {}, element("div", {}, ...pictures(row)),
    element("figcaption", {}, element("bdi", {}, name(row)), element("small", {}, said)));
}

function table(some) {
  const heads = columns.filter((column, index) => column.shown || index === view.by);
  const head = element("tr", {}, element("td"));
  for (const column of heads) {
    const button = element("button", { type: "button" }, column.name);
    button.addEventListener("click", () => sort(columns.indexOf(column)));
    const cell = element("th", { scope: "col", className: column.numbers ? "n" : "" }, button);
    if (columns[view.by] === column) {
      cell.setAttribute("aria-sort", view.up ? "ascending" : "descending");
    }
    head.append(cell);
  }
  const body = element("tbody");
  for (const row of some) {
    const line = element("tr", {}, element("td", { className: "picture" }, ...pictures(row)));
    for (const column of heads) {
      line.append(column === columns[0]
        ? element("th", { scope: "row" }, element("bdi", {}, name(row)))
        : element("td", { className: column.numbers ? "n" : "" }, text(column, row)));
    }
    body.append(line);
  }
  return element("table", { className: "cases" }, element("thead", {}, head), body);
}

function show() {
  const last = Math.max(0, Math.ceil(rows.length / PAGE) - 1);
  view.page = Math.min(Math.max(view.page, 0), last);
  const some = rows.slice(view.page * PAGE, (view.page + 1) * PAGE);
  shown.classList.toggle("tiles", !view.table);
  shown.replaceChildren(...(view.table ? [table(some)] : some.map(tile)));
  tool("column").value = view.by;
  tool("order").textContent = view.up ? "↑ rising" : "↓ falling";
  tool("as").textContent = view.table ? "Show pictures" : "Show a table";
  tool("before").disabled = view.page === 0;
  tool("after").disabled = view.page === last;
  const total = rows.length === folders.length ? "" : ` of ${digits.format(folders.length)}`;
  tool("count").textContent =
    `${digits.format(rows.length)}${total} cases, page ${view.page + 1} of ${last + 1}`;
}

function sort(by) {
  view.up = by === view.by ? !view.up : !columns[by].numbers;
  view.by = by;
  arrange();
}

function turn(pages) {
  view.page += pages;
  show();
  sheet.scrollIntoView();
}

function follow() { // an address such as #find=N_SHIFT or #sort=lung_ml, of links on the page
  const asked = new URLSearchParams(location.hash.slice(1));
  if (asked.has("find")) tool("find").value = view.find = asked.get("find");
  const by = columns.findIndex((column) => column.name === asked.get("sort"));
  if (by >= 0) [view.by, view.up] = [by, !columns[by].numbers];
  if (!asked.has("find") && by < 0) return;
  arrange();
  sheet.scrollIntoView();
}

tool("column").append(...columns.map((column, index) =>
  element("option", { value: index }, column.name)));
tool("column").addEventListener("change", (event) => sort(Number(event.target.value)));
tool("order").addEventListener("click", () => sort(view.by));
tool("as").addEventListener("click", () => { view.table = !view.table; show(); });
tool("before").addEventListener("click", () => turn(-1));
tool("after").addEventListener("click", () => turn(1));
tool("find").addEventListener("input", (event) => { view.find = event.target.value; arrange(); });
addEventListener("hashchange", follow);
shown.classList.toggle("two", roots.length > 1);
sheet.hidden = false;
arrange();
follow();
