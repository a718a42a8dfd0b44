// SPDX-License-Identifier: Apache-2.0
// Keeps verdicts in the browser as they are given, and saves them as a table.
const form = document.querySelector(".review");
const mark = `medvol review ${form.dataset.mark}`;
const cases = [...form.querySelectorAll("article")];
const tool = (name) => form.querySelector(`[name=${name}]`);
const key = ({ dataset }) => `${dataset.bundle}/${dataset.case}`;
const said = (one) => ({
  verdict: one.querySelector("[type=radio]:checked")?.value ?? "",
  remark: one.querySelector("[name=remark]").value.trim(),
});

function kept() {
  try {
    return JSON.parse(localStorage.getItem(mark)) ?? {};
  } catch {
    return {}; // a browser that keeps nothing
  }
}

function keep() {
  const all = Object.fromEntries(cases.map((one) => [key(one), said(one)]));
  try {
    localStorage.setItem(mark, JSON.stringify(all));
  } catch {
    // saved by the button alone
  }
  count();
}

function count() {
  for (const one of cases) one.classList.toggle("said", said(one).verdict !== "");
  const number = cases.filter((one) => said(one).verdict).length;
  tool("count").textContent = `${number} of ${cases.length} with a verdict`;
  tool("next").disabled = number === cases.length;
}

function cell(text) { // as a spreadsheet takes it for text, and quoted
  const line = text.replace(/[\r\n]+/g, " ");
  const formula = /^'*[=+\-@\t\uff1d\uff0b\uff0d\uff20]/.test(line) && Number.isNaN(Number(line));
  return `"${(formula ? `'${line}` : line).replaceAll('"', '""')}"`;
}

function save() {
  const rows = cases.map((one) => [one.dataset.bundle, one.dataset.case, ...Object.values(said(one))])
    .filter((row) => row[2] || row[3]);
  const lines = [["bundle", "case", "verdict", "remark"], ...rows].map((row) => row.map(cell).join(","));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
  link.download = "review.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000); // some browsers save later
}

const earlier = kept();
for (const one of cases) {
  const { verdict, remark } = earlier[key(one)] ?? {};
  const choice = verdict && one.querySelector(`[type=radio][value="${CSS.escape(verdict)}"]`);
  if (choice) choice.checked = true;
  if (remark) one.querySelector("[name=remark]").value = remark;
}
form.addEventListener("input", keep);
form.addEventListener("submit", (event) => event.preventDefault());
tool("save").addEventListener("click", save);
tool("next").addEventListener("click", () => {
  cases.find((one) => !said(one).verdict)?.scrollIntoView();
});
count();
