// SPDX-License-Identifier: Apache-2.0
// A headless Chromium at a server, as the tests of the page drive it; prints what it saw as JSON.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/**
 * Open a page, do something with it, and print what came of it.
 * @param {object} order url, width, height, dark, language.
 * @param {function(object)} work is given `{page, order, judge}`; what it returns is printed.
 */
export async function visit(order, work) {
  const browser = await chromium.launch({
    executablePath: order.chromium, headless: true,
    args: ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader",
           "--enable-unsafe-swiftshader"],
  });
  const seen = { outside: [], problems: [], answers: [] };
  try {
    const context = await browser.newContext({
      viewport: { width: order.width ?? 1280, height: order.height ?? 900 },
      colorScheme: order.dark ? "dark" : "light", locale: order.language ?? "en-GB",
      acceptDownloads: true, bypassCSP: false,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(order.timeout_ms ?? 60000);
    page.on("pageerror", (error) => seen.problems.push(String(error)));
    page.on("console", (line) => {
      if (line.type() === "error") seen.problems.push(line.text());
    });
    page.on("request", (request) => {
      const address = request.url();
      if (!/^(data|blob):/.test(address) && !address.startsWith(order.url)) {
        seen.outside.push(address);
      }
    });
    page.on("response", (answer) => {
      if (answer.status() >= 400) seen.answers.push(`${answer.status()} ${answer.url()}`);
    });
    const found = await work({ page, order, judge: () => judged(page) });
    console.log(JSON.stringify({ ...seen, ...found }));
  } finally {
    await browser.close();
  }
}

/** What axe-core finds wrong on the page as it is, a line each. */
async function judged(page) {
  await page.evaluate(AXE); // not as a script of the page, which its policy forbids
  const { violations } = await page.evaluate((tags) => window.axe.run(document, {
    runOnly: { type: "tag", values: tags },
  }), RULES);
  return violations.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.html.slice(0, 160)} (${node.failureSummary})`));
}

/** The order of this run, as JSON on the command line. */
export const order = JSON.parse(process.argv[2]);
