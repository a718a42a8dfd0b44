// SPDX-License-Identifier: Apache-2.0
// OHIF in a headless Chromium: a study with a segmentation, opened as a user does; prints what it saw.

import { visit } from "../page/browser.mjs";

const order = JSON.parse(process.argv[2]);

await visit(order, async ({ page }) => {
  await page.goto(`${order.url}/ohif/viewer?StudyInstanceUIDs=${order.study}`);
  await page.getByText("Skip all").click();
  await page.getByText("Confirm and hide").click();
  await page.getByText("SEG", { exact: true }).last().dblclick();
  await page.getByRole("button", { name: "Yes" }).click();
  await page.waitForTimeout(5000);
  await page.mouse.click(page.viewportSize().width - 18, 100); // the panel of segmentations
  const names = [];
  for (const name of order.names) {
    await page.getByText(name, { exact: true }).first().waitFor();
    names.push(name);
  }
  const box = await page.locator(".cornerstone-canvas").first().boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  for (let k = 0; k < 20; k++) await step(page, -100); // to the uppermost slice
  for (let k = 0; k < order.down; k++) await step(page, 100);
  await page.waitForTimeout(3000);
  await page.screenshot({ path: order.picture, clip: box });
  return { names, words: (await page.locator("body").innerText()).slice(0, 3000) };
});

/** One slice up or down, which takes the viewer a moment. */
async function step(page, pixels) {
  await page.mouse.wheel(0, pixels);
  await page.waitForTimeout(100);
}
