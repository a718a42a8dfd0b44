// SPDX-License-Identifier: Apache-2.0
// Every file of a result with what it holds, one by one or all as a .zip.

import { fileAddress } from "./api.js";
import { button, english, make } from "./dom.js";
import { hear } from "./told.js";
import { say } from "./words.js";
import { zipOf } from "./zip.js";

/** The section with the files of a job. */
export function downloads(job) {
  const all = button(say("files.all"), async () => {
    all.disabled = true;
    await saveAll(job).catch(() => hear(say("files.failed")));
    all.disabled = false;
  });
  return make(
    "section", {},
    make("h2", { text: say("files.title") }),
    make(
      "ul", { class: "files" },
      job.files.map(({ name, holds }) =>
        make(
          "li", {},
          make("a", { href: fileAddress(job.id, name), download: name.split("/").pop(), text: name }),
          holds ? [" ", english(holds, "span", { class: "quiet" })] : null,
        )),
    ),
    make("p", {}, all),
  );
}

async function saveAll(job) {
  const files = await Promise.all(job.files.map(async ({ name }) => {
    const answer = await fetch(fileAddress(job.id, name), { credentials: "same-origin" });
    if (!answer.ok) throw new Error(name);
    return { name, content: await answer.blob() };
  }));
  const address = URL.createObjectURL(await zipOf(files));
  make("a", { href: address, download: `medvol-${job.id.slice(0, 8)}.zip` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}
