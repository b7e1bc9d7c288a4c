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
export async function status() {
  const told = await json("/api/status");
  known = told.pipelines;
  if (!known.some((one) => one.pipeline === held.pipeline)) held.pipeline = known[0]?.pipeline ?? null;
  return told;
}

export const pipeline = () => held.pipeline;
export const current = () => known.find((one) => one.pipeline === held.pipeline);

// What a request says besides its question.
export function chosen({ model }) {
  const said = { pipeline: held.pipeline ?? undefined, where: held.terms };
  if (model && held.model.trim()) said.model = held.model.trim();
  return said;
}

// The fields. `onchange` hears of another pipeline.
export function fields({ model, onchange }) {
  const id = model ? "ask" : "search";
  const several = known.length > 1;
  const select =
    several &&
    h(
      "select",
      { id: `${id}-pipeline`, onchange: () => ((held.pipeline = select.value), keep(), onchange?.()) },
      known.map((one) => h("option", { value: one.pipeline, selected: one.pipeline === held.pipeline }, one.pipeline)),
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
