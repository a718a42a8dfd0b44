// SPDX-License-Identifier: Apache-2.0
// The classes of a radiograph: a bar and a number for the probability of each.

import { english, make } from "./dom.js";
import { percent, say } from "./words.js";

/** The bars, the most probable class first as the bundle lists them. */
export function classBars(classes) {
  const rows = Object.entries(classes.probability).map(([name, share], index) => {
    const filled = make("div", { class: "filled" });
    filled.style.width = `${100 * share}%`;
    return make(
      "tr", { class: index === classes.index ? "found" : null },
      english(name, "th", { scope: "row" }),
      make("td", { class: "bar" }, make("div", { class: "track" }, filled)),
      make("td", { class: "figure", text: percent(share) }),
    );
  });
  return make(
    "section", {},
    make("h2", { text: say("classes.title") }),
    make(
      "table", { class: "bars" },
      make("caption", { class: "unseen", text: say("classes.title") }),
      make(
        "thead", { class: "unseen" },
        make(
          "tr", {}, make("th", { scope: "col", text: say("classes.class") }),
          make("td"), make("th", { scope: "col", text: say("classes.probability") }),
        ),
      ),
      make("tbody", {}, rows),
    ),
    classes.map ? make("p", { class: "quiet", text: say("classes.map") }) : null,
  );
}
