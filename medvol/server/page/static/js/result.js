// SPDX-License-Identifier: Apache-2.0
// What was found: the answer, its figures, notes, pictures and every file.

import { fileAddress } from "./api.js";
import { archivePart } from "./archive.js";
import { downloads } from "./downloads.js";
import { english, make } from "./dom.js";
import { classBars } from "./radiograph.js";
import { sliceSection } from "./slices.js";
import { lesionTable, measurementTable, regionTable } from "./tables.js";
import { capital } from "./told.js";
import { viewerOf } from "./volume.js";
import { say } from "./words.js";

/** The parts of a result, and what ends them. */
export function resultOf(job, bundle) {
  const { found } = job;
  const has = (name) => job.files.some((file) => file.name === name);
  const viewer = has("image.nii.gz") ? viewerOf(job, bundle) : null;
  const go = viewer ? viewer.goTo : null;
  const element = make(
    "div", { class: "result" },
    answerOf(found),
    found.classes ? classBars(found.classes) : null,
    notesOf(found),
    useOf(bundle, found),
    viewer ? viewer.element : null,
    found.measurements?.length ? measurementTable(found.measurements, bundle, viewer) : null,
    found.regions ? regionTable(found.regions, found.severity_score) : null,
    found.lesions ? lesionTable(found.lesions, go) : null,
    found.slices ? sliceSection(job, go) : null,
    picture(job, has, "overlay.png", viewer ? "picture.overlay" : "picture.map"),
    picture(job, has, "preview.png", "picture.preview"),
    picture(job, has, "slices.png", "picture.profile"),
    archivePart(job),
    downloads(job),
  );
  return { element, leave: () => viewer?.leave() };
}

function answerOf(found) {
  if (!found.answer) return null;
  return make(
    "p", { class: "answer" }, `${say("result.answer")}: `, english(found.answer, "strong"),
  );
}

/** Notes and remarks, in words, with their codes. */
function notesOf(found) {
  const notes = [
    ...(found.notes ?? []).map(([code, text]) => [capital(text), code]),
    ...(found.remarks ?? []).map((text) => [capital(text), ""]),
  ];
  return make(
    "section", { class: "notes" },
    make("h2", { text: say("result.notes") }),
    notes.length
      ? make(
        "ul", {},
        notes.map(([text, code]) =>
          make("li", {}, english(text), code ? [" ", make("code", { text: code })] : null)),
      )
      : make("p", { class: "quiet", text: say("result.no_notes") }),
  );
}

function picture(job, has, name, words) {
  if (!has(name)) return null;
  return make(
    "figure", {},
    make("figcaption", { text: say(words) }),
    make("img", { src: fileAddress(job.id, name), alt: say(words), loading: "lazy" }),
  );
}

function useOf(bundle, found) {
  const told = found.bundle ?? {};
  return make(
    "section", { class: "card" },
    make("h2", { text: say("result.use") }),
    bundle ? english(bundle.intended_use, "p") : null,
    make("p", { class: "quiet", text: `${told.name ?? ""} ${told.version ?? ""}` }),
  );
}
