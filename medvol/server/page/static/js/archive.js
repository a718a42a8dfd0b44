// SPDX-License-Identifier: Apache-2.0
// Results of a study of the archive go back there, and OHIF shows them where it is served.

import * as api from "./api.js";
import { button, english, make, refill } from "./dom.js";
import { hear, problemBox } from "./told.js";
import { number, say } from "./words.js";

/** A place that has a button where a job's image is one of the archive; else it stays empty. */
export function archivePart(job) {
  const place = make("div");
  api.images().then(async (images) => {
    const isOfArchive = images.some((each) => each.id === job.image && each.origin === "archive");
    if (!isOfArchive) return;
    const told = make("div");
    const store = button(say("archive.store"), async () => {
      store.disabled = true;
      try {
        const { stored, failed } = await api.store(job.id);
        const words = say("archive.stored", { number: number(stored) });
        const reasons = failed.map((reason) => english(reason, "li"));
        refill(
          told,
          make("p", { text: words }),
          reasons.length
            ? make("div", { class: "problem" }, say("archive.failed"), make("ul", {}, reasons))
            : null,
        );
        hear(reasons.length ? `${words} ${say("archive.failed")}` : words);
      } catch (error) {
        refill(told, problemBox(error));
      }
      store.disabled = false;
    }, { class: "main" });
    const viewer = (await isServed("/ohif/"))
      ? make("a", { href: "/ohif/", class: "button", text: say("archive.ohif") })
      : null;
    refill(place, make("p", { class: "row" }, store, viewer), told);
  }, () => {});
  return place;
}

async function isServed(path) {
  try {
    return (await fetch(path, { method: "GET", credentials: "same-origin" })).ok;
  } catch {
    return false;
  }
}
