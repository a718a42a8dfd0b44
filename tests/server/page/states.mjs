// SPDX-License-Identifier: Apache-2.0
// Goes through the states of the page that an image alone does not bring about: what is refused,
// waits, has several series, is deleted, asks for a token, or has no viewer.

import { order, visit } from "./browser.mjs";

const ID = "0123456789abcdef0123456789abcdef";
const JOB = {
  id: ID, image: ID, name: "chest.zip", bundle: "tiny_ct", options: {}, state: "running",
  since: 1, started: 1, ended: 0, before: 0, step: null, error: null, found: {}, files: [],
};
const json = (route, body, status = 200) =>
  route.fulfill({ status, contentType: "application/json", body: JSON.stringify(body) });
const address = (path) => new RegExp(`${path}(\\?.*)?$`);

await visit(order, async ({ page, judge }) => {
  const states = {};
  const found = {};
  const look = async (name) => {
    states[name] = await judge();
    if (order.pictures) await page.screenshot({ path: `${order.pictures}/${name}.png` });
  };
  let job = JOB;
  await page.route(address(`/api/jobs/${ID}`), (route) => json(route, job));
  const open = async () => {
    await page.goto(`${order.url}/#/`);
    await page.goto(`${order.url}/#/job/${ID}`);
  };

  job = { ...JOB, state: "waiting", before: 2 };
  await open();
  await page.getByText("waiting, 2 before it").first().waitFor();
  await look("waiting");
  job = { ...JOB, step: { stage: "network", done: 3, total: 8, unit: "window" } };
  await page.getByText("running: network, 3 of 8").waitFor();
  found.heard = await page.locator("#heard").innerText();
  await look("running");
  await page.route(address(`/api/jobs/${ID}/cancel`), (route) => {
    found.cancelled = route.request().method();
    job = { ...JOB, state: "cancelled" };
    return json(route, job);
  });
  await page.getByRole("button", { name: "Cancel", exact: true }).press("Enter");
  await page.getByRole("button", { name: "Run again" }).waitFor();
  await look("cancelled");

  let wanted = null;
  await page.route(address("/api/jobs"), (route) => {
    if (route.request().method() !== "POST") return json(route, [JOB]);
    wanted = route.request().postDataJSON();
    return json(route, { ...JOB, id: ID }, 201);
  });
  const series = [
    { series: "1.2.3", words: "CT · thorax · 300 slices", suggested: true },
    { series: "1.2.4", words: "CT · topogram · 1 slice", suggested: false },
  ];
  const error = { code: "E_SERIES", reason: "it has 2 series.", remedy: "Choose one.", series };
  job = { ...JOB, state: "refused", error };
  await open();
  await page.getByText("Which series?").waitFor();
  await look("series");
  await page.getByRole("button", { name: "Take this one: CT · thorax · 300 slices" }).click();
  await page.waitForTimeout(100);
  found.wanted = wanted;

  await page.getByRole("button", { name: "Delete", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await look("question");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  found.kept = page.url().endsWith(ID);

  await page.goto(`${order.url}/#/`);
  await page.locator(".jobs li").waitFor();
  await look("list");
  found.focus = await tabbed(page);

  const study = {
    id: ID.replaceAll("0", "f"), name: "2026/chest", origin: "studies", description: "Chest",
    bundles: ["tiny_ct"],
  };
  await page.route(address("/api/images"), (route) => json(route, [study]));
  await page.reload();
  await page.getByLabel("Or an image of this server:").selectOption({ label: "2026/chest · Chest" });
  await page.getByRole("button", { name: "Choose it" }).click();
  await page.getByRole("heading", { name: "What shall be looked for?" }).waitFor();
  found.chosen = await page.locator("form input:checked").getAttribute("value");
  await look("study");
  await page.getByRole("button", { name: "Start" }).click();
  await page.waitForURL(/job/);
  found.study = wanted;
  const archived = { ...study, id: ID, origin: "archive" };
  await page.unroute(address("/api/images"));
  await page.route(address("/api/images"), (route) => json(route, [archived]));
  await page.route(address(`/api/jobs/${ID}/store`), (route) =>
    json(route, { stored: 2, failed: ["it has enough."] }));
  await page.route(address("/ohif/"), (route) => route.fulfill({ status: 200, body: "OHIF" }));
  job = { ...JOB, state: "done" };
  await open();
  await page.getByRole("button", { name: "Store in the archive" }).press("Enter");
  await page.getByText("Stored in the archive: 2.").first().waitFor();
  await page.getByRole("link", { name: "Open OHIF" }).waitFor();
  await page.getByText("it has enough.").waitFor();
  await look("archive");
  await page.unroute(address("/api/images"));
  found.sent = await sent(page);
  await page.unroute(address("/api/images"));
  await page.goto(`${order.url}/#/`);

  let isKnown = false;
  await page.route(address("/login"), (route) => {
    isKnown = route.request().postDataJSON().token === "right";
    return isKnown ? route.fulfill({ status: 204 }) : json(route, {}, 401);
  });
  await page.route(address("/api/images"), (route) =>
    isKnown ? json(route, []) : json(route, {}, 401));
  await page.reload();
  await page.getByLabel("Token", { exact: true }).fill("wrong");
  await page.keyboard.press("Enter");
  await page.getByText("This is not the token.").waitFor();
  await look("token");
  await page.getByLabel("Token", { exact: true }).fill("right");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor({ state: "detached" });

  await page.unrouteAll();
  await page.route(address("/api/jobs"), (route) => route.abort());
  await page.reload();
  await page.getByText("The server does not answer.").waitFor();
  await look("away");
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  return { states, width, ...found };
});

/** How two images go that are chosen together: their addresses and names, and that both are run. */
async function sent(page) {
  const seen = [];
  await page.route(address("/api/images"), (route) => {
    if (route.request().method() !== "POST") return json(route, []);
    const name = decodeURIComponent(route.request().headers()["x-file-name"]);
    seen.push([new URL(route.request().url()).search, name, route.request().postData()]);
    return json(route, { id: ID }, 201);
  });
  await page.goto(`${order.url}/#/`);
  await page.locator("input[type=file]").first().setInputFiles(
    ["Año 1.png", "b.png"].map((name) => ({
      name, mimeType: "image/png", buffer: Buffer.from(`of ${name}`),
    })),
  );
  await page.locator("form button.main").click(); // one bundle takes pictures: it is chosen
  await page.getByRole("heading", { name: "Drop an image here" }).waitFor();
  return seen;
}

/** What the key Tab comes to, and whether each shows that it has the focus. */
async function tabbed(page) {
  await page.reload();
  await page.locator(".jobs li").waitFor();
  const reached = [];
  for (let step = 0; step < 12; step += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const here = document.activeElement;
      if (!here || here === document.body) return null;
      const shown = here.matches("input[type=file]") ? here.nextElementSibling : here;
      const style = getComputedStyle(shown);
      const name = here.labels?.[0]?.textContent ?? here.getAttribute("aria-label");
      return { name: name ?? here.textContent, seen: style.outlineStyle !== "none" };
    });
    if (at) reached.push(at);
  }
  return reached;
}
