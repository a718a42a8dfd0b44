// SPDX-License-Identifier: Apache-2.0
// Which view is shown: `#/` to send images and the list, `#/job/ID` for one of them.

import { refill } from "./dom.js";
import { jobView } from "./job.js";
import { startView } from "./start.js";
import { say, speak, spoken, wanted } from "./words.js";

const JOB = /^#\/job\/([0-9a-f]{32})$/;
const main = document.getElementById("main");
let leave = () => {};

/** Show the view that the address names; the one before ends what it was at. */
function show({ focus = true } = {}) {
  leave();
  const found = JOB.exec(location.hash);
  const view = found ? jobView(found[1]) : startView();
  refill(main, view.element);
  leave = view.leave;
  document.title = found ? `${say("job.title")} · medvol` : "medvol";
  if (focus) main.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

async function begin() {
  await speak(wanted());
  const chooser = document.getElementById("language");
  chooser.value = spoken();
  chooser.addEventListener("change", async () => {
    await speak(chooser.value);
    show({ focus: false });
  });
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  window.addEventListener("hashchange", () => show());
  show({ focus: false });
}

begin();
