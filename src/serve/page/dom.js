// Elements, and what is said of them in the language of the page.

import { lang, t } from "./strings.js";

// h("button", { class: "send", onclick: send, t: "send" }, children…): `t` names the text, `label`, `hint` and `placeholder` the
// aria-label, title and placeholder in the table of strings; they change with the language.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (["t", "label", "hint", "placeholder"].includes(name)) element.setAttribute(`data-${name}`, value);
    else if (name === "vars") element.setAttribute("data-vars", JSON.stringify(value));
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  translate(element);
  return element;
}

const said = { t: (element, text) => (element.textContent = text) };
for (const [name, attribute] of [
  ["label", "aria-label"],
  ["hint", "title"],
  ["placeholder", "placeholder"],
]) {
  said[name] = (element, text) => element.setAttribute(attribute, text);
}

export function translate(element) {
  for (const [name, say] of Object.entries(said)) {
    const key = element.getAttribute(`data-${name}`);
    if (key) say(element, t(key, JSON.parse(element.getAttribute("data-vars") ?? "{}")));
  }
}

export function translateAll() {
  document.documentElement.lang = lang() === "zh" ? "zh-Hans" : "en";
  document.querySelectorAll("[data-t],[data-label],[data-hint],[data-placeholder]").forEach(translate);
}

// Why something was not done, and what helps.
export const fault = ({ message, hint }) =>
  h("div", { class: "fault", role: "alert" }, h("p", {}, message), hint ? h("p", { class: "muted" }, hint) : null);

// For those who hear the page.
export function announce(text) {
  const live = document.getElementById("live");
  live.append(h("p", {}, text));
  while (live.childElementCount > 20) live.firstElementChild.remove();
}

export const number = (value, options) => new Intl.NumberFormat(lang(), options).format(value);
export const seconds = (value) =>
  t("seconds", { n: number(value, { maximumFractionDigits: value < 1 ? 2 : value < 10 ? 1 : 0 }) });

// What scrolls sideways can be reached by the keyboard.
export function reachable(root) {
  for (const element of root.querySelectorAll("pre, .table")) {
    if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
  }
}
