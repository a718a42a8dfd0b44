// SPDX-License-Identifier: Apache-2.0
// Where files and folders are dropped or chosen, and how they make images.

import { button, freshId, make, refill } from "./dom.js";
import { isSlice } from "./kinds.js";
import { say } from "./words.js";

const HIDDEN = /(^|\/)(\.|__MACOSX|Thumbs\.db$|desktop\.ini$)/;

/**
 * The zone. What is chosen becomes items: `{name, files, isFolder}`, one an image.
 * @param {function(Array)} chosen is given the items.
 */
export function dropZone(chosen) {
  const [filesId, folderId] = [freshId(), freshId()];
  const question = make("div");
  const taken = (files) => itemsOf(files, question, chosen);
  const input = (id, given) =>
    make("input", {
      id, type: "file", multiple: true, class: "unseen", ...given,
      on: { change: (event) => taken(withPaths(event.target.files)) },
    });
  const zone = make(
    "div", { class: "drop" },
    make("h1", { text: say("start.title") }),
    make("p", { text: say("start.what") }),
    make(
      "p", { class: "row" },
      input(filesId, {}),
      make("label", { for: filesId, class: "button main", text: say("start.files") }),
      input(folderId, { webkitdirectory: true }),
      make("label", { for: folderId, class: "button", text: say("start.folder") }),
    ),
    make("p", { class: "quiet", text: say("start.formats") }),
    question,
  );
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    taken(await droppedFiles(event.dataTransfer));
  });
  return zone;
}

function withPaths(files) {
  return [...files].map((file) => located(file, file.webkitRelativePath));
}

/** A file that knows its path in the folder that was chosen; "" for one chosen alone. */
function located(file, path) {
  file.path = path || null;
  return file;
}

/** All files of what was dropped; of folders with their paths. */
async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return withPaths(transfer.files);
  return (await Promise.all(entries.map((entry) => under(entry, "")))).flat();
}

async function under(entry, above) {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    return [located(file, above ? `${above}${entry.name}` : "")];
  }
  const [reader, found] = [entry.createReader(), []];
  for (;;) { // a reader gives at most 100 entries at a time
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) break;
    found.push(...some);
  }
  return (await Promise.all(found.map((each) => under(each, `${above}${entry.name}/`)))).flat();
}

/** One item a folder, one a file; several slices without a folder: it is asked what they are. */
function itemsOf(files, question, chosen) {
  const seen = files.filter((file) => !HIDDEN.test(file.path ?? file.name));
  const folders = grouped(seen.filter((file) => file.path));
  const alone = seen.filter((file) => !file.path);
  const items = [...folders].map(([name, inside]) => ({ name, files: inside, isFolder: true }));
  const each = alone.map((file) => ({ name: file.name, files: [file], isFolder: false }));
  const slices = alone.filter(isSlice);
  if (slices.length < 2 || slices.length < alone.length) {
    const all = [...items, ...each];
    if (all.length) chosen(all);
    return;
  }
  const together = { name: say("start.series"), files: slices, isFolder: true };
  refill(
    question,
    make("p", { role: "alert", text: say("start.several", { number: slices.length }) }),
    make(
      "p", { class: "row" },
      button(say("start.together"), () => chosen([...items, together])),
      button(say("start.apart"), () => chosen([...items, ...each])),
    ),
  );
}

function grouped(files) {
  const folders = new Map();
  for (const file of files) {
    const name = file.path.split("/")[0];
    folders.set(name, [...(folders.get(name) ?? []), file]);
  }
  return folders;
}
