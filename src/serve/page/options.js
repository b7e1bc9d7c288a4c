// Which pipeline, which model, which documents.

import { json } from "./api.js";
import { h } from "./dom.js";
const KEY = "ragstream.options";
const held = { pipeline: null, model: "", terms: [] };
try {
  Object.assign(held, JSON.parse(localStorage.getItem(KEY) ?? "{}"));
} catch {
  // Nothing is remembered, then.
}

function keep() {
  try {
    // Not the filters: one that is forgotten hides what one looks for.
    localStorage.setItem(KEY, JSON.stringify({ pipeline: held.pipeline, model: held.model }));
  } catch {
    // As above.
  }
}

let known = [];
// What all pipelines together are called, where there are several.
let together = null;
export async function status() {
  const told = await json("/api/status");
  known = told.pipelines;
  together = told.together ?? null;
  // None of them: all are asked together, and one that is alone is asked by its name.
  if (!known.some((one) => one.pipeline === held.pipeline)) held.pipeline = together ? null : (known[0]?.pipeline ?? null);
  return told;
}

// The pipeline that is asked; `one`: of what shows one alone.
const named = (one) => held.pipeline ?? (one ? (known[0]?.pipeline ?? null) : null);

// What is held by what is asked. Of several, an index is there where one of them has one.
export function current({ one = false } = {}) {
  const name = named(one);
  if (name || !together) return known.find((each) => each.pipeline === name);
  const documents = known.reduce((sum, each) => sum + (each.documents ?? 0), 0);
  return { pipeline: together, documents, index: known.find((each) => each.index)?.index, model: known[0].model };
}

// What a request says besides its question.
export function chosen({ model, one = false }) {
  const said = { pipeline: named(one) ?? undefined, where: held.terms };
  if (model && held.model.trim()) said.model = held.model.trim();
  return said;
}

// The fields. `onchange` hears of another pipeline; `one`: all together are none to choose.
export function fields({ model, one = false, onchange }) {
  const id = model ? "ask" : "search";
  const several = known.length > 1;
  const select =
    several &&
    h(
      "select",
      { id: `${id}-pipeline`, onchange: () => ((held.pipeline = select.value || null), keep(), onchange?.()) },
      one ? null : h("option", { value: "", selected: !held.pipeline, t: "all_pipelines" }),
      known.map((each) => h("option", { value: each.pipeline, selected: each.pipeline === named(one) }, each.pipeline)),
    );
  const planned = current()?.model;
  const input =
    model &&
    h("input", {
      id: `${id}-model`,
      value: held.model,
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => ((held.model = input.value), keep(), tally()),
      placeholder: "model_placeholder",
    });
  if (input && planned) {
    input.removeAttribute("data-placeholder");
    input.placeholder = planned;
  }
  const terms = h("ul", { class: "terms", role: "list" });
  const term = h("input", { id: `${id}-where`, autocomplete: "off", spellcheck: "false", placeholder: "filters_hint" });
  const add = () => {
    const text = term.value.trim();
    if (text && !held.terms.includes(text)) held.terms.push(text);
    term.value = "";
    draw();
  };
  term.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing && term.value.trim()) {
      event.preventDefault();
      add();
    }
    if (event.key === "Backspace" && !term.value && held.terms.pop()) draw();
  });
  term.addEventListener("change", add);
  function tally() {
    const set = held.terms.length + (model && held.model.trim() ? 1 : 0);
    count.textContent = set ? ` (${set})` : "";
  }
  function draw() {
    keep();
    terms.replaceChildren(
      ...held.terms.map((text) =>
        h(
          "li",
          {},
          h(
            "button",
            {
              type: "button",
              class: "term",
              label: "remove",
              vars: { term: text },
              onclick: () => ((held.terms = held.terms.filter((other) => other !== text)), draw(), term.focus()),
            },
            text,
            h("span", { "aria-hidden": "true" }, " ✕"),
          ),
        ),
      ),
    );
    term.classList.toggle("bare", held.terms.length > 0);
    tally();
  }
  const field = (key, control) => control && h("div", { class: "field" }, h("label", { for: control.id, t: key }), control);
  const count = h("span", {});
  const summary = h("summary", {}, h("span", { t: "options" }), count);
  const whole = h(
    "details",
    { class: "options" },
    summary,
    h(
      "div",
      { class: "fields" },
      field("pipeline", select),
      field("model", input),
      h("div", { class: "field wide" }, h("label", { for: term.id, t: "filters" }), h("div", { class: "filter" }, terms, term)),
    ),
  );
  draw();
  return whole;
}
