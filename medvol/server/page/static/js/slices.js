// SPDX-License-Identifier: Apache-2.0
// The probability of each slice: a curve along the patient, and a slider that goes through it.

import { fileText } from "./api.js";
import { drawn, freshId, make, refill } from "./dom.js";
import { number, percent, say } from "./words.js";

const [WIDTH, HEIGHT, EDGE] = [600, 140, 6];

/** The section of a job whose slices were judged. */
export function sliceSection(job, go) {
  const { slices } = job.found;
  const place = make("div");
  const counted = {
    found: number(slices.number_found), number: number(slices.number),
    threshold: number(slices.threshold, 2), highest: percent(slices.highest_probability),
  };
  fileText(job.id, "slices.csv").then((text) => {
    const rows = parsed(text);
    if (rows.length > 1) refill(place, curve(rows, slices.threshold), slider(rows, go));
  }, () => {});
  return make(
    "section", {},
    make("h2", { text: say("slices.title") }),
    make("p", { text: say("slices.counted", counted) }),
    place,
  );
}

/** Height and probability of each slice, the lowest first, which is 1 as in the viewer. */
function parsed(text) {
  const [heads, ...lines] = text.trim().split(/\r?\n/).map((line) => line.split(","));
  const [z, p] = ["z_mm", "probability"].map((name) => heads.indexOf(name));
  const rows = lines.map((row) => ({ z: Number(row[z]), p: Number(row[p]) }));
  rows.sort((one, other) => one.z - other.z);
  return rows.map((row, index) => ({ ...row, n: index + 1 })).filter((row) => Number.isFinite(row.p));
}

function curve(rows, threshold) {
  const x = (index) => EDGE + ((WIDTH - 2 * EDGE) * index) / (rows.length - 1);
  const y = (share) => HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * share;
  const points = rows.map((row, index) => `${x(index).toFixed(1)},${y(row.p).toFixed(1)}`);
  const level = y(threshold);
  return drawn(
    "svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "curve", role: "img",
      "aria-label": say("slices.curve"),
    },
    drawn("line", { x1: 0, x2: WIDTH, y1: level, y2: level, class: "level" }),
    drawn("polyline", { points: points.join(" "), class: "line" }),
  );
}

function slider(rows, go) {
  const id = freshId();
  const highest = rows.reduce((best, row, index) => (row.p > rows[best].p ? index : best), 0);
  const told = make("output", { for: id });
  const range = make("input", {
    type: "range", id, min: "0", max: String(rows.length - 1), value: String(highest),
  });
  const tell = () => {
    const row = rows[Number(range.value)];
    const values = { number: row.n, z: number(row.z, 1), share: percent(row.p) };
    told.textContent = say("slices.one", values);
    range.setAttribute("aria-valuetext", told.textContent);
    return row;
  };
  range.addEventListener("input", () => {
    const { z } = tell();
    if (go) go([null, null, z], { scroll: false });
  });
  tell();
  const label = make("label", { for: id, text: say("slices.slider") });
  return make("div", { class: "control" }, label, range, told);
}
