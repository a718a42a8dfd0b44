// SPDX-License-Identifier: Apache-2.0
// The access token, asked for when the server wants one; the server keeps it in a cookie.

import { make, freshId } from "./dom.js";
import { say } from "./words.js";

let asking = null;

/** Ask for the token until the server takes it; several callers wait for the same answer. */
export function askToken() {
  asking ??= shown().finally(() => {
    asking = null;
  });
  return asking;
}

function shown() {
  return new Promise((done) => {
    const [id, title] = [freshId(), freshId()];
    const field = make("input", {
      id, type: "password", name: "token", autocomplete: "current-password", required: true,
    });
    const wrong = make("p", { class: "problem", role: "alert", hidden: true });
    const form = make(
      "form", {},
      make("h2", { id: title, text: say("login.title") }),
      make("p", { text: say("login.why") }),
      make("label", { for: id, text: say("login.token") }),
      field,
      wrong,
      make("button", { class: "main", text: say("login.enter") }),
    );
    const dialog = make("dialog", { "aria-labelledby": title }, form);
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const status = await offered(field.value);
      if (status === 204) {
        dialog.close();
        dialog.remove();
        done();
        return;
      }
      wrong.textContent = say(status === 401 ? "login.wrong" : "login.later");
      wrong.hidden = false;
      field.select();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** The status of the server's answer to a token; 0 where it gave none. */
async function offered(token) {
  try {
    const answer = await fetch("/login", {
      method: "POST", credentials: "same-origin", body: JSON.stringify({ token }),
      headers: { "Content-Type": "application/json" },
    });
    return answer.status;
  } catch {
    return 0;
  }
}
