// SPDX-License-Identifier: Apache-2.0
// Takes the pictures of docs/serving.md, of phantoms alone; see CONTRIBUTING.md.

import { order, visit } from "./browser.mjs";

await visit(order, async ({ page }) => {
  const take = (name) =>
    page.screenshot({ path: `${order.folder}/${name}.png`, animations: "disabled" });
  const send = async (file, bundle) => {
    await page.goto(`${order.url}/#/`);
    await page.locator("input[type=file]").first().setInputFiles(file);
    await page.locator("form input[type=radio]").first().waitFor();
    await page.evaluate(() => window.scrollTo(0, 0));
    await take(`page_choice_${bundle}`);
    await page.getByLabel(bundle, { exact: true }).check();
    await page.locator("form button.main").click();
    await page.locator("main :is(.files, .problem)").first().waitFor();
  };
  await send(order.radiograph, "chest_xray_pneumonia");
  await page.locator("figure img").first().evaluate((picture) => picture.decode());
  await take("page_radiograph");
  await send(order.ct, "covid_ct_lesion_3d");
  await page.locator(".viewer[data-ready=true]").waitFor();
  await page.getByRole("button", { name: "Show lesion 1", exact: true }).click();
  await page.locator(".viewer").evaluate((viewer) => viewer.scrollIntoView());
  await page.mouse.wheel(0, -60);
  await page.waitForTimeout(1500);
  await take("page_ct");
  await page.getByLabel("View", { exact: true }).selectOption("volume");
  await page.waitForTimeout(1500);
  await take("page_3d");
  await page.goto(`${order.url}/#/`);
  await page.locator(".jobs li").nth(1).waitFor();
  await take("page_start");
  return {};
});
