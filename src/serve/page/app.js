// The page: which view is shown, the keys, the language, and the login.

import { Fault, json, onLogin } from "./api.js";
import * as activity from "./activity.js";
import * as ask from "./ask.js";
import { h, translateAll } from "./dom.js";
import * as index from "./index.js";
import * as map from "./map.js";
import * as options from "./options.js";
import * as quality from "./quality.js";
import * as search from "./search.js";
import { lang, setLang, t } from "./strings.js";
import { alone } from "./viewer.js";

const VIEWS = { ask, search, map, index, activity, quality };
const main = document.getElementById("main");
let leave = () => {};
let shown = null;

const links = Object.keys(VIEWS).map((name) =>
  h("a", { href: name === "ask" ? "/" : `/#${name}`, "data-view": name, t: name }),
);
document.getElementById("views").setAttribute("data-label", "views");
document.getElementById("views").append(...links);
const language = h("button", {
  class: "quiet",
  t: "other_language",
  label: "switch_language",
  onclick: () => {
    setLang(lang() === "zh" ? "en" : "zh");
    translateAll();
    // With the numbers and the sentences that are put together.
    if (shown) draw();
    language.focus();
  },
});
document.getElementById("tools").append(language);
translateAll();

// The token is asked for once, whoever wants it.
let asking = null;
onLogin(() => (asking ??= login().finally(() => (asking = null))));

function login() {
  return new Promise((entered) => {
    const token = h("input", { id: "token", type: "password", autocomplete: "current-password", required: true });
    const fault = h("p", { class: "fault", role: "alert", hidden: true });
    const dialog = h(
      "dialog",
      { class: "login", "aria-labelledby": "login-title" },
      h(
        "form",
        {
          onsubmit: async (event) => {
            event.preventDefault();
            try {
              await json("/login", { method: "POST", body: { token: token.value } });
              dialog.close();
              dialog.remove();
              entered();
            } catch (error) {
              fault.hidden = false;
              fault.textContent = error.message;
              token.select();
            }
          },
        },
        h("h2", { id: "login-title", t: "login_title" }),
        h("p", { class: "muted", t: "login_hint" }),
        h("label", { for: "token", t: "token" }),
        token,
        fault,
        h("button", { class: "primary", type: "submit", t: "login" }),
      ),
    );
    // Nothing can be done without it.
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    document.body.append(dialog);
    dialog.showModal();
  });
}

function route() {
  // An address within a view (a source, the text) is not one of a view.
  const asked = location.hash.slice(1);
  const name = Object.hasOwn(VIEWS, asked) ? asked : asked && shown ? shown : "ask";
  if (name === shown) return;
  shown = name;
  draw();
  scrollTo({ top: name === "ask" ? scrollY : 0, behavior: "instant" });
}

function draw() {
  leave();
  for (const link of links) {
    if (link.dataset.view === shown) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "center", behavior: "instant" });
    } else link.removeAttribute("aria-current");
  }
  document.body.dataset.view = shown;
  document.title = shown === "ask" ? "ragstream" : `${t(shown)} – ragstream`;
  leave = VIEWS[shown].show(main) ?? (() => {});
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

document.addEventListener("click", (event) => {
  // The views are of one page: nothing is loaded anew.
  const link = event.target.closest("a[data-view], a.brand");
  if (!link || location.pathname !== "/" || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href"));
  route();
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, dialog");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    if (!VIEWS[shown]?.focus) return;
    event.preventDefault();
    VIEWS[shown].focus();
  }
  if (event.key === "Escape" && !document.querySelector("dialog[open]") && shown === "ask" && ask.stop())
    event.preventDefault();
});

if (location.pathname.startsWith("/documents/")) {
  document.body.dataset.view = "document";
  alone(main);
} else {
  try {
    await options.status();
  } catch (error) {
    const said = error instanceof Fault ? error : new Fault(String(error));
    main.replaceChildren(
      h(
        "div",
        { class: "fault", role: "alert" },
        h("p", {}, said.message),
        h("button", { class: "quiet", t: "try_again", onclick: () => location.reload() }),
      ),
    );
    throw error;
  }
  addEventListener("popstate", route);
  addEventListener("hashchange", route);
  route();
}
