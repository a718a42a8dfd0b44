// SPDX-License-Identifier: Apache-2.0
// Figures of a mask: labels, regions of the lungs with their scores, single lesions.

import { button, english, make } from "./dom.js";
import { number, say, volume } from "./words.js";

/** A table in a frame that scrolls by itself on a narrow screen. */
function table(title, heads, rows, foot = null) {
  return make(
    "section", {},
    make("h2", { text: title }),
    make(
      "div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title },
      make(
        "table", {},
        make("thead", {}, make("tr", {}, heads.map((text) =>
          text ? make("th", { scope: "col", text }) : make("td")))),
        make("tbody", {}, rows),
      ),
    ),
    foot,
  );
}

const figure = (text) => make("td", { class: "figure", text });

/** Volume, mean value and share of each label. */
export function measurementTable(rows, bundle, viewer) {
  const isMr = rows.some((row) => "mean_intensity" in row);
  const color = Object.fromEntries((bundle?.labels ?? []).map((row) => [row.value, row.color]));
  const heads = [
    say("table.label"), say("table.ml"), say(isMr ? "table.intensity" : "table.hu"),
    say("table.share"),
  ];
  const body = rows.map((row) =>
    make(
      "tr", {},
      make("th", { scope: "row" }, swatch(color[row.value]), english(row.name)),
      figure(volume(row.volume_ml)),
      figure(number(isMr ? row.mean_intensity : row.mean_hu)),
      figure(row.share_percent === null ? "–" : `${number(row.share_percent, 1)} %`),
    ));
  const foot = viewer ? null : make("p", { class: "quiet", text: say("viewer.absent") });
  return table(say("table.measurements"), heads, body, foot);
}

/** A small field of a label's colour. */
export function swatch(color) {
  const field = make("span", { class: "swatch", "aria-hidden": "true" });
  if (color) field.style.backgroundColor = `rgb(${color.join(" ")})`;
  return field;
}

/** How much of each lung, and of each third, is lesion; and the score of all. */
export function regionTable(regions, score) {
  const heads = [
    say("table.region"), say("table.lung_ml"), say("table.lesion_ml"), say("table.share"),
    say("table.score"),
  ];
  const rows = regions.map((row) =>
    make(
      "tr", {},
      english(row.region, "th", { scope: "row" }),
      figure(volume(row.lung_ml)),
      figure(volume(row.lesion_ml)),
      figure(row.lesion_percent === null ? "–" : `${number(row.lesion_percent, 1)} %`),
      figure(row.score === null ? "" : number(row.score)),
    ));
  const known = score !== null && score !== undefined;
  const foot = known ? make("p", { text: say("table.ct_score", { score: number(score) }) }) : null;
  return table(say("table.regions"), heads, rows, foot);
}

/** The largest lesions, each with a button that shows it. */
export function lesionTable(lesions, go) {
  if (!lesions.number) return make("p", { text: say("table.no_lesions") });
  const heads = [
    say("table.place"), say("table.ml"), say("table.longest"), say("table.slice"), go ? " " : null,
  ].filter((text) => text !== null).map((text) => text.trim());
  const rows = lesions.largest.map((row, index) =>
    make(
      "tr", {},
      english(row.place || "–", "th", { scope: "row" }),
      figure(volume(row.volume_ml)),
      figure(number(row.longest_mm)),
      figure(number(row.slice_number)),
      go
        ? make("td", { class: "shows" }, button(say("viewer.show"), () => go(row.centre_mm), {
          "aria-label": say("viewer.show_lesion", { number: index + 1 }),
        }))
        : null,
    ));
  const rest = lesions.number - lesions.largest.length;
  const words = { number: number(rest), ml: volume(lesions.rest_ml) };
  const foot = rest ? make("p", { class: "quiet", text: say("table.rest", words) }) : null;
  return table(say("table.lesions", { number: number(lesions.number) }), heads, rows, foot);
}
