// SPDX-License-Identifier: Apache-2.0
// The first view: images are dropped or chosen, then a bundle; below it, what was done.

import * as api from "./api.js";
import { dropZone } from "./drop.js";
import { button, english, freshId, make, refill } from "./dom.js";
import { fits, kindOf } from "./kinds.js";
import { jobList } from "./list.js";
import { hear, problemBox } from "./told.js";
import { percent, say, size } from "./words.js";
import { zipOf } from "./zip.js";

/** The view, and what ends it. */
export function startView() {
  const stop = new AbortController();
  const list = jobList();
  const panel = make("section", { "aria-label": say("start.title") });
  const told = make("div");
  const begin = () => refill(panel, told, dropZone(chosen), studies(chosenStudy));
  let bundles = null;

  async function chosen(items) {
    refill(told);
    try {
      const kinds = await Promise.all(items.map((item) => kindOf(item.files[0])));
      const [first] = kinds;
      // a folder of pictures may be slices of a volume
      const kind = items[0].isFolder && !first.modality ? { ...first, shape: "" } : first;
      if (kinds.some((other) => other.shape !== kinds[0].shape)) {
        throw new api.Problem({ code: "E_KINDS" });
      }
      bundles ??= await api.bundles();
      const fitting = bundles.filter((bundle) => fits(bundle, kind)).map((bundle) => bundle.name);
      ask(items.map(named), fitting, (bundle, shown) => sendAll(items, bundle, shown));
    } catch (error) {
      refill(told, problemBox(error));
    }
  }

  async function chosenStudy(image) {
    try {
      bundles ??= await api.bundles();
      const fitting = image.bundles ?? bundles.map((bundle) => bundle.name);
      ask([image.name], fitting, (bundle) => api.submit(image.id, bundle));
    } catch (error) {
      refill(told, problemBox(error));
    }
  }

  function ask(names, fitting, work) {
    const form = bundleForm(names, bundles, fitting);
    const shown = make("div");
    form.append(shown);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const bundle = new FormData(form).get("bundle");
      for (const part of form.querySelectorAll("button, input")) part.disabled = true;
      try {
        const last = await work(bundle, shown);
        if (names.length === 1) location.hash = `#/job/${last.id}`;
        else begin();
      } catch (error) {
        if (error.name === "AbortError") return;
        begin();
        refill(told, problemBox(error));
      }
      list.look();
    });
    form.querySelector("[data-back]").addEventListener("click", begin);
    refill(panel, form);
    form.querySelector("h1").focus();
  }

  async function sendAll(items, bundle, shown) {
    let last = null;
    for (const [number, item] of items.entries()) {
      const bar = sendingBar(shown, item, number, items.length, stop);
      const content = item.isFolder ? await zipped(item) : item.files[0];
      const image = await api.send(content, named(item), bar, stop.signal);
      last = await api.submit(image.id, bundle);
      list.look();
    }
    return last;
  }

  begin();
  return {
    element: make("div", { class: "start" }, panel, list.element),
    leave() {
      stop.abort();
      list.leave();
    },
  };
}

const named = (item) => (item.isFolder ? `${item.name}.zip` : item.name);

async function zipped(item) {
  const files = item.files.map((file) => ({ name: file.path ?? file.name, content: file }));
  return zipOf(files).catch(() => {
    throw new api.Problem({ code: "E_TOO_BIG" });
  });
}

/** The form that asks which bundle shall run; those that fit come first, one alone is chosen. */
function bundleForm(names, bundles, fitting) {
  const first = bundles.filter((bundle) => fitting.includes(bundle.name));
  const others = bundles.filter((bundle) => !fitting.includes(bundle.name));
  const only = first.length === 1 ? first[0] : null;
  const options = (some) => some.map((bundle) => option(bundle, bundle === only));
  return make(
    "form", { class: "card" },
    make("h1", { text: say("choose.title"), tabindex: "-1" }),
    make("p", { class: "names", text: names.join(", ") }),
    make(
      "fieldset", {},
      make("legend", { text: say("choose.bundle") }),
      options(first),
      first.length ? null : make("p", { text: say("choose.none") }),
      others.length
        ? make("details", {}, make("summary", { text: say("choose.others") }), options(others))
        : null,
    ),
    make(
      "p", { class: "row" },
      make("button", { class: "main", text: say("choose.start") }),
      button(say("choose.back"), () => {}, { "data-back": true }),
    ),
  );
}

function option(bundle, isChosen) {
  const [id, told] = [freshId(), freshId()];
  const answers = bundle.classes.length ? bundle.classes : bundle.labels.map((row) => row.name);
  return make(
    "div", { class: "option" },
    make("input", {
      type: "radio", name: "bundle", id, value: bundle.name, checked: isChosen, required: true,
      "aria-describedby": told,
    }),
    make("label", { for: id, text: bundle.name }),
    make(
      "div", { id: told },
      english([bundle.modality, bundle.takes].filter(Boolean).join(" "), "p"),
      answers.length ? make("p", {}, `${say("choose.finds")} `, english(answers.join(", "))) : null,
      english(bundle.intended_use, "p", { class: "quiet" }),
    ),
  );
}

/** A bar of how much is sent; what it gives is told the share. */
function sendingBar(place, item, number, total, stop) {
  const bar = make("progress", { max: "1", value: "0", "aria-label": say("send.label") });
  const line = make("p", { text: "" });
  const bytes = item.files.reduce((sum, file) => sum + file.size, 0);
  refill(
    place, line, bar,
    button(say("send.stop"), () => {
      stop.abort();
      location.reload();
    }),
  );
  hear(say("send.begins", { name: item.name }));
  return (share) => {
    bar.value = share;
    const values = { name: item.name, size: size(bytes), share: percent(share, 0) };
    const words = { ...values, number: number + 1, total };
    line.textContent = say(total > 1 ? "send.several" : "send.one", words);
  };
}

/** Images that the server itself has, to choose one of; and why it cannot say which there are. */
function studies(chosen) {
  const [place, wrong] = [make("div"), make("div")];
  api.sources().then((sources) => {
    const problems = sources.map((source) => source.problem).filter(Boolean);
    refill(wrong, problems.map((problem) => problemBox(problem)));
  }, () => {});
  api.images().then((images) => {
    const own = images.filter((image) => image.origin !== "upload");
    if (!own.length) return;
    const id = freshId();
    const choice = make(
      "select", { id },
      own.map((image) => {
        const words = [image.name, image.description].filter(Boolean).join(" · ");
        return make("option", { value: image.id, text: words });
      }),
    );
    const open = button(say("studies.open"), () => {
      chosen(own.find((image) => image.id === choice.value));
    });
    const label = make("label", { for: id, text: say("studies.label") });
    refill(place, make("div", { class: "studies" }, label, choice, open));
  }, () => {});
  return make("div", {}, wrong, place);
}
