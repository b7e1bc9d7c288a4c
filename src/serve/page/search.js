// The passages alone, with their scores.

import { json } from "./api.js";
import { announce, fault, h, number, seconds } from "./dom.js";
import { noIndex } from "./ask.js";
import * as options from "./options.js";
import { body, roving } from "./source.js";
import { t } from "./strings.js";
import { open } from "./viewer.js";

const LEGS = ["vector", "words", "rerank"];

let last = { query: "", limit: 10, copies: false };
let input;

export function show(main) {
  const results = h("div", { class: "results" });
  input = h("input", {
    type: "search",
    id: "query",
    label: "search_title",
    placeholder: "search_placeholder",
    autocomplete: "off",
    enterkeyhint: "search",
  });
  input.value = last.query;
  const limit = h(
    "select",
    { id: "limit", onchange: () => ((last.limit = Number(limit.value)), find()) },
    [10, 20, 50].map((n) => h("option", { value: n, selected: n === last.limit }, String(n))),
  );
  const copies = h("input", {
    type: "checkbox",
    id: "copies",
    checked: last.copies,
    onchange: () => ((last.copies = copies.checked), find()),
  });
  const form = h(
    "form",
    { class: "composer top-box", role: "search", onsubmit: (event) => (event.preventDefault(), find()) },
    h("div", { class: "box" }, input, h("button", { class: "primary", type: "submit", t: "search" })),
    h(
      "div",
      { class: "under" },
      options.fields({ model: false, onchange: () => find() }),
      h("span", { class: "choice" }, h("label", { for: "limit", t: "results" }), limit),
      h("label", { class: "choice" }, copies, h("span", { t: "copies" })),
    ),
  );
  const index = options.current();
  const empty = () =>
    index && !index.index
      ? noIndex()
      : h(
          "div",
          { class: "empty" },
          h("p", { class: "greeting", t: "search_title" }),
          h("p", { class: "muted", t: "search_empty" }),
        );
  main.replaceChildren(h("h1", { class: "unseen", t: "search" }), form, results);
  let asked = null;
  async function find() {
    last.query = input.value.trim();
    asked?.abort();
    if (!last.query) return results.replaceChildren(empty());
    asked = new AbortController();
    const since = performance.now();
    const said = options.chosen({ model: false });
    try {
      const { hits, note } = await json("/api/search", {
        method: "POST",
        signal: asked.signal,
        body: { query: last.query, limit: last.limit, copies: last.copies, ...said },
      });
      draw(hits, note, performance.now() - since, said.pipeline);
    } catch (error) {
      if (error.name === "AbortError") return;
      results.replaceChildren(fault(error));
    }
  }
  function draw(hits, note, ms, pipeline) {
    const found = hits.length ? ["found", { n: number(hits.length), time: seconds(ms / 1000) }] : ["found_none", {}];
    announce(t(...found));
    const best = Math.max(...hits.map((hit) => hit.score), 1e-9);
    // Each leg has a scale of its own: a bar is as long as its part of the best among these.
    const most = Object.fromEntries(LEGS.map((leg) => [leg, Math.max(...hits.map((hit) => hit.legs?.[leg]?.score ?? 0), 1e-9)]));
    const all = hits.map((hit) => ({ ...hit, n: hit.rank }));
    const list = roving(
      h(
        "ol",
        { class: "cards hits" },
        all.map((hit, at) => card(hit, { at, all, best, most, pipeline })),
      ),
    );
    // Such as an index that is left out.
    const remark = note ? h("p", { class: "note" }, note) : "";
    results.replaceChildren(h("p", { class: "muted", t: found[0], vars: found[1] }), remark, list);
  }
  results.replaceChildren(empty());
  if (last.query) find();
  input.focus();
  return () => asked?.abort();
}

export const focus = () => input?.focus();

// A passage with the words of the query marked.
function marked(text) {
  const words = last.query.split(/[\s\p{P}]+/u).filter((word) => word.length > 1);
  if (words.length === 0) return [text];
  const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return text.split(new RegExp(`(${escaped.join("|")})`, "giu")).map((piece, i) => (i % 2 ? h("mark", {}, piece) : piece));
}

// Where a passage stood by meaning, by words, and after reranking.
function legs(hit, most) {
  const shown = LEGS.filter((leg) => leg === "rerank" ? most.rerank > 1e-9 || hit.legs?.rerank : most[leg] > 1e-9);
  return h(
    "span",
    { class: "legs" },
    shown.map((leg) => {
      const of = hit.legs?.[leg];
      return h(
        "span",
        { class: `leg ${leg}` },
        h("span", { class: "by", t: `leg_${leg}` }),
        h("meter", { min: "0", max: "1", value: of ? Math.max(of.score / most[leg], 0) : 0, "aria-hidden": "true" }),
        of
          ? h("span", {
              class: "at",
              t: "leg_at",
              vars: { rank: number(of.rank), score: number(of.score, { maximumFractionDigits: 2, minimumFractionDigits: 2 }) },
            })
          : h("span", { class: "at", t: "leg_not" }),
      );
    }),
  );
}

function card(hit, { at, all, best, most, pipeline }) {
  const meter = h("meter", { min: "0", max: "1", value: Math.max(hit.score / best, 0), "aria-hidden": "true" });
  const path = (hit.headings ?? []).filter((heading, i) => i > 0 || heading !== hit.title).join(" › ");
  const copies = (hit.copies ?? []).map((copy) => h("span", { class: "at", t: "also_in", vars: { uri: copy.uri } }));
  return h(
    "li",
    {},
    h(
      "button",
      { class: "card hit", onclick: () => open(all, at, pipeline) },
      h(
        "span",
        { class: "title" },
        `${hit.rank}. `,
        hit.title || hit.uri.split("/").at(-1),
        path ? h("span", { class: "path" }, ` › ${path}`) : "",
      ),
      h(
        "span",
        { class: "scored" },
        h("span", { class: "unseen", t: "score" }),
        meter,
        number(hit.score, { minimumFractionDigits: 3, maximumFractionDigits: 3 }),
      ),
      h(
        "span",
        { class: "passage" },
        marked(
          body(hit.text)
            .replace(/\n{2,}/g, "\n")
            .slice(0, 700),
        ),
      ),
      legs(hit, most),
      h(
        "span",
        { class: "foot" },
        hit.pipeline ? h("span", { class: "of" }, hit.pipeline) : "",
        h("span", { class: "uri" }, hit.uri),
        " ",
        h("span", {
          class: "at",
          t: hit.lines[0] === hit.lines[1] ? "line" : "lines",
          vars: { from: hit.lines[0], to: hit.lines[1] },
        }),
        hit.page ? h("span", { class: "at", t: "page", vars: { n: hit.page } }) : "",
        copies,
      ),
    ),
  );
}
