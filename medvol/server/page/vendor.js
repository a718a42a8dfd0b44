// SPDX-License-Identifier: Apache-2.0
// Copies NiiVue, one file with all it needs, into `vendor/`, with the licences of its parts.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "node_modules");
const vendor = join(here, "vendor");

/** Folders of all packages that npm put here. */
function packages() {
  return readdirSync(modules).filter((name) => !name.startsWith(".")).flatMap((name) =>
    name.startsWith("@")
      ? readdirSync(join(modules, name)).map((inner) => join(modules, name, inner))
      : [join(modules, name)]);
}

/** Name, version, licence and its text, as far as a package brings it. */
function licence(folder) {
  const told = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const author = typeof told.author === "string" ? told.author : (told.author?.name ?? "");
  const text = readdirSync(folder).filter((name) => /^(licen[cs]e|copying)/i.test(name));
  const address = told.repository?.url ?? told.homepage ?? "";
  return [
    `${told.name} ${told.version}: ${told.license}`, author, address,
    ...text.map((name) => readFileSync(join(folder, name), "utf8").trim()),
  ].filter(Boolean).join("\n");
}

mkdirSync(vendor, { recursive: true });
const niivue = readFileSync(join(modules, "@niivue/niivue/dist/index.js"), "utf8");
const alone = niivue.replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n");
if (/^\s*import\s[^(]/m.test(alone)) throw new Error("NiiVue imports another file");
writeFileSync(join(vendor, "niivue.js"), alone);
const licences = packages().filter((folder) => existsSync(join(folder, "package.json")));
writeFileSync(join(vendor, "LICENSES.txt"), `${licences.map(licence).join("\n\n---\n\n")}\n`);
console.log(`vendor/niivue.js: ${(alone.length / 1e6).toFixed(1)} MB`);
