// SPDX-License-Identifier: Apache-2.0
// The view of one job: how far it is, why it was refused, or what was found.

import * as api from "./api.js";
import { button, english, make, refill } from "./dom.js";
import { isAtWork, stateWords, stepWords } from "./list.js";
import { resultOf } from "./result.js";
import { asked, hear, problemBox } from "./told.js";
import { say, sayOf } from "./words.js";

const BETWEEN_MS = 500;

/** The view, and what ends it. */
export function jobView(id) {
  const stop = new AbortController();
  const body = make("div");
  const head = make("div", {}, make("h1", { text: say("job.title") }));
  const back = make("a", { href: "#/", text: say("job.back") });
  const element = make("article", {}, make("p", {}, back), head, body);
  let leaveResult = () => {};

  async function follow() {
    let bar = null;
    for (;;) {
      const job = await api.job(id, { signal: stop.signal });
      if (!bar) refill(head, headOf(job));
      if (!isAtWork(job)) return ended(job);
      if (!bar) refill(body, (bar = progressOf(id, follow)).element);
      bar.tell(job);
      await new Promise((done) => setTimeout(done, BETWEEN_MS));
      if (stop.signal.aborted) return undefined;
    }
  }

  async function ended(job) {
    hear(stateWords(job));
    const remove = removal(job);
    if (job.state === "refused") {
      refill(body, problemBox(job.error), seriesChoice(job), remove);
    } else if (job.state === "cancelled") {
      refill(body, make("p", { text: sayOf("state", "cancelled") }), again(job), remove);
    } else {
      const bundle = (await api.bundles()).find((each) => each.name === job.bundle);
      const result = resultOf(job, bundle);
      leaveResult = result.leave;
      refill(body, result.element, remove);
    }
  }

  follow().catch((error) => {
    if (error.name !== "AbortError") refill(body, problemBox(error));
  });
  return {
    element,
    leave() {
      stop.abort();
      leaveResult();
    },
  };
}

function headOf(job) {
  return [
    make("h1", { class: "names", text: job.name }),
    make("p", { class: "quiet", text: job.bundle }),
  ];
}

/** The bar of a job at work, its words, and the button that stops it. */
function progressOf(id) {
  const bar = make("progress", { max: "1", "aria-label": say("job.progress") });
  const words = make("p");
  const cancel = button(say("job.cancel"), async () => {
    cancel.disabled = true;
    await api.cancel(id).catch(() => {});
  });
  return {
    element: make("div", { class: "card" }, words, bar, make("p", {}, cancel)),
    tell(job) {
      words.textContent = stateWords(job);
      const { step } = job;
      if (step && step.total) bar.value = step.done / step.total;
      else bar.removeAttribute("value");
      const quarter = step && step.total ? Math.floor((4 * step.done) / step.total) : 0;
      if (job.state === "waiting") hear(stateWords(job));
      else if (step && (bar.dataset.told !== `${step.stage} ${quarter}`)) {
        bar.dataset.told = `${step.stage} ${quarter}`;
        hear(stepWords(step));
      }
    },
  };
}

/** The series of a study, where the server needs to know which one is meant. */
function seriesChoice(job) {
  const series = job.error?.series ?? [];
  if (!series.length) return null;
  const pick = (row) =>
    button(say("series.take"), () => restart(job, { ...job.options, series: row.series }), {
      "aria-label": `${say("series.take")}: ${row.words}`,
    });
  return make(
    "section", {},
    make("h2", { text: say("series.title") }),
    make(
      "ul", { class: "jobs series" },
      series.map((row) =>
        make(
          "li", {}, english(row.words, "span", { class: "name" }),
          make("span", { class: "quiet", text: row.suggested ? say("series.suggested") : "" }),
          pick(row),
        )),
    ),
  );
}

function again(job) {
  return make("p", {}, button(say("job.again"), () => restart(job, job.options)));
}

async function restart(job, options) {
  try {
    const next = await api.submit(job.image, job.bundle, options);
    location.hash = `#/job/${next.id}`;
  } catch (error) {
    document.getElementById("main").append(problemBox(error));
  }
}

function removal(job) {
  const pressed = async () => {
    if (!(await asked(say("ask.delete", { name: job.name }), say("job.delete")))) return;
    await api.remove(job.id).catch(() => {});
    location.hash = "#/";
  };
  return make("p", { class: "removal" }, button(say("job.delete"), pressed, { class: "danger" }));
}
