// SPDX-License-Identifier: Apache-2.0
// Chooses a folder of slices, which goes as one .zip; the page is one without NiiVue.

import { order, visit } from "./browser.mjs";

await visit(order, async ({ page, judge }) => {
  await page.route(/\/page\/vendor\//, (route) => route.fulfill({ status: 404 }));
  await page.goto(order.url);
  await page.locator("input[webkitdirectory]").setInputFiles(order.folder);
  await page.getByLabel(order.bundle, { exact: true }).check();
  await page.locator("form button.main").click();
  await page.locator("main :is(.files, .problem)").first().waitFor();
  await page.locator(".viewer[data-ready=absent]").waitFor();
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Save all as .zip" }).click();
  await (await saved).saveAs(order.saved);
  const pictures = await page.locator("figure img").evaluateAll(async (all) => {
    all.forEach((each) => each.scrollIntoView());
    await Promise.all(all.map((each) => each.decode()));
    return all.map((each) => each.naturalWidth);
  });
  const text = await page.locator("main").innerText();
  return { states: { absent: await judge() }, text, pictures };
});
