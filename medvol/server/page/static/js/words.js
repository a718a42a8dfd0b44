// SPDX-License-Identifier: Apache-2.0
// What the page says, in the language that was chosen: catalogs in `words/`, and numbers.

export const LANGUAGES = ["en", "es"];
const KEPT = "medvol.language";
let catalog = {};
let language = "en";

/** The language of last time, else the browser's, else English. */
export function wanted() {
  const known = [kept(), ...navigator.languages.map((tag) => tag.split("-")[0])];
  return known.find((tag) => LANGUAGES.includes(tag)) ?? "en";
}

/** Speak a language from now on; the fixed parts of the page at once. */
export async function speak(tag) {
  const answer = await fetch(`/page/words/${tag}.json`);
  catalog = await answer.json();
  language = tag;
  document.documentElement.lang = tag;
  for (const element of document.querySelectorAll("[data-word]")) {
    element.textContent = say(element.dataset.word);
  }
  try {
    localStorage.setItem(KEPT, tag);
  } catch {
    // a browser that keeps nothing asks again next time
  }
}

function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

/** The language that is spoken. */
export function spoken() {
  return language;
}

/**
 * A sentence of the catalog.
 * @param {string} key in the catalog; what is not in it is said as it stands.
 * @param {object} values for the names in braces.
 */
export function say(key, values = {}) {
  const sentence = catalog[key] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** A sentence whose key has an end that the server gives; `otherwise` where it is not known. */
export function sayOf(group, end, otherwise = end) {
  return catalog[`${group}.${end}`] ?? otherwise;
}

/** A number with so many decimals; a dash for none. */
export function number(value, decimals = 0) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return new Intl.NumberFormat(language, digits).format(value);
}

/** A volume in ml, with as many decimals as help a reader. */
export function volume(ml) {
  if (ml > 0 && ml < 0.01) return `< ${number(0.01, 2)}`;
  return number(ml, ml >= 1000 ? 0 : ml >= 10 ? 1 : 2);
}

/** A share of 1 in per cent. */
export function percent(share, decimals = 1) {
  const digits = {
    style: "percent", minimumFractionDigits: decimals, maximumFractionDigits: decimals,
  };
  return new Intl.NumberFormat(language, digits).format(share);
}

/** A time of the server, in seconds since 1970, as date and hour. */
export function moment(seconds) {
  const form = { dateStyle: "short", timeStyle: "short" };
  const ours = navigator.languages.filter((tag) => tag.split("-")[0] === language);
  return new Intl.DateTimeFormat([...ours, language], form).format(new Date(1000 * seconds));
}

/** The size of a file. */
export function size(bytes) {
  const [unit, step] = bytes >= 1e9 ? ["GB", 1e9] : bytes >= 1e6 ? ["MB", 1e6] : ["kB", 1e3];
  return `${number(bytes / step, bytes >= 1e6 ? 1 : 0)} ${unit}`;
}
