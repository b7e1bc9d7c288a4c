// Cards of sources and of hits: what a passage is, and where it stands.

import { h, number } from "./dom.js";
import { t } from "./strings.js";
import { open } from "./viewer.js";

// The headings above a passage, without a title that the first repeats.
const pathOf = ({ title, headings }) => (headings ?? []).filter((heading, i) => i > 0 || heading !== title).join(" › ");

// A passage without what stands before the text of its document.
export const body = (text) => text.replace(/^---\n[\s\S]*?\n---\n/, "").trim();

// The first words of a passage, without the marks of Markdown.
function excerpt(text) {
  const bare = body(text)
    .split("\n")
    .filter((line) => line.trim() && !/^(#|```|\|?[-: |]+$)/.test(line.trim()));
  return bare
    .join(" ")
    .replace(/[*`|]+/g, "")
    .slice(0, 240);
}

function card(source, { at, all, pipeline, cited }) {
  const where = h("span", { class: "uri" }, source.uri);
  const lines = h("span", {
    class: "at",
    t: source.lines[0] === source.lines[1] ? "line" : "lines",
    vars: { from: source.lines[0], to: source.lines[1] },
  });
  const path = pathOf(source);
  return h(
    "li",
    { class: cited ? "" : "uncited" },
    h(
      "button",
      { class: "card", "data-n": source.n, onclick: () => open(all, at, pipeline) },
      h("span", { class: "badge", "aria-hidden": "true" }, String(source.n)),
      h(
        "span",
        { class: "title" },
        h("span", { class: "unseen" }, `${t("source", { n: source.n })}: `),
        source.title || source.uri.split("/").at(-1),
        path ? h("span", { class: "path" }, ` › ${path}`) : "",
      ),
      h("span", { class: "excerpt" }, excerpt(source.text)),
      h(
        "span",
        { class: "foot" },
        source.pipeline ? h("span", { class: "of" }, source.pipeline) : "",
        where,
        " ",
        lines,
        source.page ? h("span", { class: "at", t: "page", vars: { n: source.page } }) : "",
        h(
          "span",
          { class: "score", hint: "score" },
          number(source.score, { minimumFractionDigits: 2, maximumFractionDigits: 2 }),
        ),
      ),
    ),
  );
}

// The arrows, Home and End go from card to card.
export function roving(list) {
  list.addEventListener("keydown", (event) => {
    const cards = [...list.querySelectorAll(".card")];
    const at = cards.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: cards.length - 1 }[
      event.key
    ];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    cards[Math.min(Math.max(to, 0), cards.length - 1)]?.focus();
  });
  return list;
}

// Those that are cited first.
export function cards(sources, { pipeline, citations }) {
  const cited = (source) => !citations || citations.includes(source.n);
  const make = (source) => card(source, { at: sources.indexOf(source), all: sources, pipeline, cited: cited(source) });
  const ordered = [...sources.filter(cited), ...sources.filter((source) => !cited(source))];
  return roving(h("ol", { class: "cards" }, ordered.map(make)));
}
