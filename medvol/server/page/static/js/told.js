// SPDX-License-Identifier: Apache-2.0
// What is told to who looks and to who listens: problems, and news for screen readers.

import { english, make } from "./dom.js";
import { say, sayOf } from "./words.js";

/** Let a screen reader say a sentence, without moving the focus. */
export function hear(sentence) {
  const heard = document.getElementById("heard");
  if (heard.textContent !== sentence) heard.textContent = sentence;
}

/** What cannot be done: code, reason and remedy. */
export function problemBox(problem) {
  const { code = "E_PAGE", reason = String(problem), remedy = "" } = problem;
  const known = sayOf("problem", code, "");
  return make(
    "div", { class: "problem", role: "alert" },
    make("p", {}, make("strong", { text: known || say("problem") }), " ", make("code", { text: code })),
    reason ? english(capital(reason), "p") : null,
    remedy ? english(remedy, "p") : null,
  );
}

/** A sentence that begins with a capital. */
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * A question that must be answered before something is deleted.
 * @returns {Promise<boolean>} whether it was said yes to.
 */
export function asked(question, yes) {
  return new Promise((done) => {
    const dialog = make(
      "dialog", { "aria-label": question },
      make(
        "form", { method: "dialog" },
        make("p", { text: question }),
        make(
          "p", { class: "row" },
          make("button", { value: "no", text: say("ask.no"), autofocus: true }),
          make("button", { value: "yes", class: "danger", text: yes }),
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      done(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
