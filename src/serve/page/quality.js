// What `eval` has measured: figures with their confidence, two pipelines side by side.

import { json } from "./api.js";
import { h, number } from "./dom.js";
import { lang, t } from "./strings.js";

// Measurements that are shown at once.
const SHOWN = 5;
const [ROW, LEFT, RIGHT, TOP, BOTTOM] = [34, 86, 14, 6, 22];

const three = (value) => number(value, { minimumFractionDigits: 3, maximumFractionDigits: 3 });
const day = (at) => new Intl.DateTimeFormat(lang(), { dateStyle: "medium", timeStyle: "short" }).format(at * 1000);
const name = (figure) => figure.replace("ndcg", "nDCG").replace("mrr", "MRR");

export function show(main) {
  const left = new AbortController();
  const body = h("div", {}, h("p", { class: "muted", t: "loading" }));
  main.replaceChildren(h("h1", { t: "quality_title" }), h("p", { class: "muted", t: "quality_hint" }), body);
  (async () => {
    try {
      const { measurements } = await json("/api/eval", { signal: left.signal });
      body.replaceChildren(...(measurements.length ? list(measurements) : [empty()]));
      addEventListener("resize", () => body.querySelectorAll(".dots").forEach((one) => one.draw()), { signal: left.signal });
      body.querySelectorAll(".dots").forEach((one) => one.draw());
    } catch (error) {
      if (error.name !== "AbortError") body.replaceChildren(h("div", { class: "fault", role: "alert" }, error.message));
    }
  })();
  return () => left.abort();
}

function empty() {
  return h(
    "div",
    { class: "empty" },
    h("p", { class: "greeting", t: "quality_none" }),
    h("p", { class: "muted", t: "quality_how" }),
    h("pre", {}, h("code", {}, "ragstream eval ./my-set\nragstream eval ./my-set --compare a.yaml b.yaml")),
  );
}

function list(measurements) {
  const place = h("div", {});
  let shown = 0;
  const more = h("button", { class: "quiet more", t: "quality_more", onclick: () => add() });
  function add() {
    const some = measurements.slice(shown, shown + SHOWN).map(card);
    place.append(...some);
    shown += some.length;
    more.hidden = shown >= measurements.length;
    for (const one of some) one.querySelector(".dots").draw?.();
  }
  add();
  return [place, more];
}

let numbered = 0;
function card({ at, set, queries, runs, comparison = [] }) {
  const id = `measured-${(numbered += 1)}`;
  return h(
    "article",
    { class: "held measured", "aria-labelledby": id },
    h(
      "header",
      {},
      h("h2", { id }, set, " ", h("span", { class: "muted", t: "questions", vars: { n: queries } })),
      h("time", { class: "muted", datetime: new Date(at * 1000).toISOString() }, day(at)),
    ),
    h(
      "ul",
      { class: "legend", role: "list" },
      runs.map((run, i) =>
        h(
          "li",
          {},
          h("span", { class: `swatch run-${i % 2}`, "aria-hidden": "true" }),
          h("strong", {}, run.pipeline),
          h("span", { class: "muted" }, ` ${run.model}`),
        ),
      ),
    ),
    dots(runs),
    h("div", { class: "data", tabindex: "0", role: "group", "aria-labelledby": id }, figures(runs, comparison)),
  );
}

// A dot for a mean, and a line for where it would be with other questions in 95 of 100 cases.
function dots(runs) {
  const place = h("div", { class: "plot dots" });
  const rows = runs[0].figures.map((figure) => figure.name);
  place.draw = () => {
    const width = Math.max(place.clientWidth, 220);
    const height = TOP + rows.length * ROW + BOTTOM;
    const x = (value) => LEFT + value * (width - LEFT - RIGHT);
    const ticks = [0, 0.25, 0.5, 0.75, 1]
      .map(
        (value) =>
          `<line x1="${x(value)}" x2="${x(value)}" y1="${TOP}" y2="${height - BOTTOM}"/><text x="${x(value)}" y="${height - 6}" text-anchor="middle">${number(value)}</text>`,
      )
      .join("");
    const marks = rows
      .map((row, r) => {
        const label = `<text class="row" x="${LEFT - 10}" y="${TOP + r * ROW + ROW / 2 + 4}" text-anchor="end">${name(row)}</text>`;
        const each = runs.map((run, i) => {
          const figure = run.figures[r];
          const y = TOP + r * ROW + ROW / 2 + (runs.length > 1 ? (i % 2 ? 6 : -6) : 0);
          const whisker = `<path class="whisker" d="M${x(figure.low)},${y}H${x(figure.high)}M${x(figure.low)},${y - 4}v8M${x(figure.high)},${y - 4}v8"/>`;
          const dot = i % 2 ? `<rect x="${x(figure.mean) - 4}" y="${y - 4}" width="8" height="8"/>` : `<circle cx="${x(figure.mean)}" cy="${y}" r="4.5"/>`;
          return `<g class="run-${i % 2}">${whisker}${dot}</g>`;
        });
        return label + each.join("");
      })
      .join("");
    // Names of figures are ours; nothing of a document is among them. The table below says the same.
    place.innerHTML = `<svg viewBox="0 0 ${width} ${height}" aria-hidden="true"><g class="grid">${ticks}</g>${marks}</svg>`;
  };
  return place;
}

function figures(runs, comparison) {
  const compared = comparison.length > 0;
  const head = h(
    "tr",
    {},
    h("th", { scope: "col", t: "figure" }),
    runs.map((run) => h("th", { scope: "col", class: "right" }, run.pipeline)),
    compared && [h("th", { scope: "col", class: "right", t: "difference" }), h("th", { scope: "col", class: "right" }, "p")],
  );
  const rows = runs[0].figures.map((figure, r) => {
    const of = comparison.find((one) => one.name === figure.name);
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, name(figure.name)),
      runs.map((run) => {
        const { mean, low, high } = run.figures[r];
        return h("td", { class: "right" }, three(mean), h("span", { class: "muted" }, ` ${three(low)}–${three(high)}`));
      }),
      of && [
        h("td", { class: "right" }, number(of.difference, { signDisplay: "exceptZero", minimumFractionDigits: 3, maximumFractionDigits: 3 })),
        h("td", { class: of.p < 0.05 ? "right sure" : "right" }, three(of.p), of.p < 0.05 && h("span", { class: "unseen" }, ` ${t("significant")}`)),
      ],
    );
  });
  const times = h(
    "tr",
    {},
    h("th", { scope: "row", t: "times" }),
    runs.map((run) =>
      h("td", { class: "right" }, `${number(run.p50_ms, { maximumFractionDigits: 1 })} / ${number(run.p99_ms, { maximumFractionDigits: 1 })} ms`),
    ),
    compared && [h("td", {}), h("td", {})],
  );
  return h("table", {}, h("caption", { class: "unseen", t: "quality_hint" }), h("thead", {}, head), h("tbody", {}, rows, times));
}
