// SPDX-License-Identifier: Apache-2.0
// Sends a file through the page as a person does, and looks at every state on the way.

import { order, visit } from "./browser.mjs";

await visit(order, async ({ page, judge }) => {
  const states = {};
  await page.goto(order.url);
  await page.getByRole("heading", { level: 1 }).waitFor();
  states.start = await judge();
  await page.locator("input[type=file]").first().setInputFiles(order.file);
  await page.locator("form input[type=radio]").first().waitFor();
  states.choice = await judge();
  for (const fold of await page.locator("form details").all()) {
    await fold.evaluate((each) => { each.open = true; });
  }
  await page.getByLabel(order.bundle, { exact: true }).check();
  await page.locator("form button.main").click();
  await page.waitForURL(/#\/job\//);
  states.running = await judge();
  await page.locator("main :is(.files, .problem)").first().waitFor();
  const viewer = page.locator(".viewer");
  if (await viewer.count()) {
    await page.locator(".viewer[data-ready]").waitFor();
    await page.waitForTimeout(500);
  }
  states.result = await judge();
  if (order.picture) await page.screenshot({ path: order.picture, fullPage: true });
  if (order.canvas) {
    const canvas = page.locator("canvas");
    await canvas.screenshot({ path: `${order.canvas}/marked.png` });
    for (const box of await page.locator(".labels input").all()) await box.press("Space");
    await page.waitForTimeout(300);
    await canvas.screenshot({ path: `${order.canvas}/plain.png` });
  }
  const text = await page.locator("main").innerText();
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  const ready = (await viewer.count()) ? await viewer.getAttribute("data-ready") : null;
  const job = page.url().split("#/job/")[1];
  const notice = await page.locator(".notice").isVisible();
  return { states, text, width, ready, job, notice };
});
