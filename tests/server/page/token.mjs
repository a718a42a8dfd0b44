// SPDX-License-Identifier: Apache-2.0
// A server that asks for a token: it is asked for once, and then all goes as elsewhere.

import { order, visit } from "./browser.mjs";

await visit(order, async ({ page, judge }) => {
  await page.goto(order.url);
  const field = page.getByLabel("Token", { exact: true });
  await field.fill("not the token at all");
  await field.press("Enter");
  await page.getByText("This is not the token.").waitFor();
  await field.fill(order.token);
  await field.press("Enter");
  await page.getByText("Nothing yet.").waitFor();
  await page.locator("input[type=file]").first().setInputFiles(order.file);
  await page.getByLabel(order.bundle, { exact: true }).check();
  await page.locator("form button.main").click();
  await page.locator("main :is(.files, .problem)").first().waitFor();
  const width = await page.locator("figure img").first().evaluate(async (picture) => {
    picture.scrollIntoView();
    await picture.decode();
    return picture.naturalWidth;
  });
  const kept = await page.evaluate(() => [document.cookie, JSON.stringify({ ...localStorage })]);
  return { states: { result: await judge() }, width, kept };
});
