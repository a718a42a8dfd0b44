// SPDX-License-Identifier: Apache-2.0
// The server's `/api`: every question of the page goes through here.

import { askToken } from "./login.js";

/** What the server says cannot be done: a code, the reason, and what to do. */
export class Problem extends Error {
  constructor({ code = "E_FAILED", reason = "", remedy = "", series = [] } = {}) {
    super(reason);
    Object.assign(this, { code, reason, remedy, series });
  }
}

const UNREACHED = { code: "E_SERVER", reason: "", remedy: "" };

/** Ask, and give the answer as JSON; null where it has none. */
async function ask(path, given = {}) {
  let answer;
  try {
    answer = await fetch(`/api${path}`, { credentials: "same-origin", cache: "no-store", ...given });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(UNREACHED);
  }
  if (answer.status === 401) {
    await askToken();
    return ask(path, given);
  }
  if (answer.status === 204) return null;
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw problemOf(answer.status, told);
  return told;
}

function problemOf(status, told) {
  if (told.code) return new Problem(told);
  return new Problem({ code: `HTTP ${status}`, reason: String(told.detail ?? "") });
}

const asJson = (body) => ({
  method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" },
});

export const bundles = () => ask("/bundles");
// as many as the server lists at once: those of its studies stand behind what was sent lately
export const images = () => ask("/images?limit=1000");
export const sources = () => ask("/sources");
export const jobs = () => ask("/jobs");
export const job = (id, given) => ask(`/jobs/${id}`, given);
export const submit = (image, bundle, options = {}) =>
  ask("/jobs", asJson({ image, bundle, options }));
export const cancel = (id) => ask(`/jobs/${id}/cancel`, { method: "POST" });
export const store = (id) => ask(`/jobs/${id}/store`, { method: "POST" });
export const remove = (id) => ask(`/jobs/${id}`, { method: "DELETE" });

/** Address of a file of a job's results. */
export function fileAddress(id, name) {
  return `/api/jobs/${id}/files/${name.split("/").map(encodeURIComponent).join("/")}`;
}

/** The text of a file of a job's results. */
export async function fileText(id, name) {
  const answer = await fetch(fileAddress(id, name), { credentials: "same-origin" });
  if (!answer.ok) throw problemOf(answer.status, {});
  return answer.text();
}

/**
 * Send an image. Its name goes as a header, so that it stands in no address and no log.
 * @param {Blob} content of the file.
 * @param {string} name of the file.
 * @param {function(number)} heard is told the share that is sent, 0 to 1.
 * @param {AbortSignal} signal that stops it.
 * @returns {Promise<object>} the image as the server has it.
 */
export async function send(content, name, heard, signal) {
  for (;;) {
    const [status, told] = await sendOnce(content, name, heard, signal);
    if (status === 201) return told;
    if (status !== 401) throw problemOf(status, told);
    await askToken();
  }
}

// XMLHttpRequest, since fetch does not tell how much of a body is sent
function sendOnce(content, name, heard, signal) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/images");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-File-Name", encodeURIComponent(name));
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) heard(event.loaded / event.total);
    });
    request.addEventListener("load", () => done([request.status, parsed(request.responseText)]));
    request.addEventListener("error", () => failed(new Problem(UNREACHED)));
    request.addEventListener("abort", () => failed(new DOMException("stopped", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    request.send(content);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
