// SPDX-License-Identifier: Apache-2.0
// The list of what was done: state of each, open, cancel, delete.

import * as api from "./api.js";
import { button, make, refill } from "./dom.js";
import { asked, problemBox } from "./told.js";
import { moment, number, say, sayOf } from "./words.js";

const AT_WORK_MS = 1500;
const IDLE_MS = 10000;

/** The list, how to look again at once, and what ends it. */
export function jobList() {
  const rows = new Map();
  const list = make("ul", { class: "jobs" });
  const empty = make("p", { class: "quiet", text: say("list.empty") });
  const told = make("div");
  let [timer, isLeft] = [0, false];

  async function look() {
    clearTimeout(timer);
    let wait = IDLE_MS;
    try {
      const jobs = await api.jobs();
      if (isLeft) return;
      show(jobs);
      if (jobs.some((job) => isAtWork(job))) wait = AT_WORK_MS;
      refill(told);
    } catch (error) {
      refill(told, problemBox(error));
    }
    if (!isLeft) timer = setTimeout(look, wait);
  }

  function show(jobs) {
    const known = new Set(jobs.map((job) => job.id));
    for (const [id, row] of rows) {
      if (known.has(id)) continue;
      row.element.remove();
      rows.delete(id);
    }
    for (const [place, job] of jobs.entries()) {
      if (!rows.has(job.id)) rows.set(job.id, rowOf(job, look));
      const row = rows.get(job.id);
      row.tell(job);
      if (list.children[place] !== row.element) list.insertBefore(row.element, list.children[place]);
    }
    empty.hidden = jobs.length > 0;
  }

  look();
  const element = make(
    "section", { "aria-labelledby": "list-title" },
    make("h2", { id: "list-title", text: say("list.title") }), told, empty, list,
  );
  return {
    element,
    look,
    leave() {
      isLeft = true;
      clearTimeout(timer);
    },
  };
}

/** Whether a job waits or runs. */
export function isAtWork(job) {
  return job.state === "waiting" || job.state === "running";
}

/** What a job is at, in a few words. */
export function stateWords(job) {
  const state = sayOf("state", job.state);
  if (job.state === "waiting") return `${state}, ${say("job.before", { number: job.before })}`;
  if (job.state === "running" && job.step) return `${state}: ${stepWords(job.step)}`;
  if (job.state === "refused" && job.error) return `${state}: ${job.error.code}`;
  return state;
}

/** A stage of the work and its steps, such as "network, 3 of 8". */
export function stepWords(step) {
  const stage = sayOf("stage", step.stage);
  if (!step.total) return stage;
  return `${stage}, ${say("job.of", { done: number(step.done), total: number(step.total) })}`;
}

/** One job of the list; its elements stay, so that the focus does. */
function rowOf(first, look) {
  const state = make("span", { class: "state" });
  const stop = button(say("job.cancel"), async () => {
    await api.cancel(first.id).catch(() => {});
    look();
  }, { "aria-label": say("list.cancel", { name: first.name }) });
  const remove = button(say("job.delete"), async () => {
    if (!(await asked(say("ask.delete", { name: first.name }), say("job.delete")))) return;
    await api.remove(first.id).catch(() => {});
    look();
  }, { "aria-label": say("list.delete", { name: first.name }) });
  const element = make(
    "li", {},
    make("a", { href: `#/job/${first.id}`, class: "name", text: first.name }),
    make("span", { class: "quiet", text: `${first.bundle} · ${moment(first.since)}` }),
    state,
    make("span", { class: "row" }, stop, remove),
  );
  return {
    element,
    tell(job) {
      state.textContent = stateWords(job);
      state.dataset.state = job.state;
      stop.hidden = !isAtWork(job);
    },
  };
}
