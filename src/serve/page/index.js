// What the indexes hold, and ingests.

import { json, within } from "./api.js";
import { noIndex } from "./ask.js";
import { fault, h, number } from "./dom.js";
import { failure } from "./ingest.js";
import { follow } from "./jobs.js";
import * as options from "./options.js";
import { repeat } from "./watch.js";

// How often an index that is not there yet is looked for, in milliseconds.
const LOOK = 3000;

export function show(main) {
  const left = new AbortController();
  const { signal } = left;
  const indexes = h("div", { class: "indexes" });
  const jobs = follow({ signal, ended: look });
  // Of each pipeline what was told of it, and its place.
  let drawn = new Map();
  let missing = false;
  main.replaceChildren(h("h1", { t: "index_title" }), indexes, jobs.whole);

  async function look() {
    let told;
    try {
      told = await options.status();
    } catch (error) {
      if (signal.aborted) return;
      drawn = new Map();
      missing = false;
      indexes.replaceChildren(
        h(
          "div",
          { class: "fault", role: "alert" },
          h("p", {}, error.message),
          h("button", { class: "quiet", t: "try_again", onclick: look }),
        ),
      );
      return;
    }
    if (signal.aborted) return;
    draw(told.pipelines);
    missing = told.pipelines.some((one) => !one.index && !one.error);
  }

  // What is the same stays as it is: somebody may be about to choose, or read why something was refused.
  function draw(pipelines) {
    const before = drawn;
    drawn = new Map();
    for (const one of pipelines) {
      const [said, known] = [JSON.stringify(one), before.get(one.pipeline)];
      drawn.set(one.pipeline, known?.said === said ? known : { said, place: index(one, begun) });
    }
    const [places, shown] = [[...drawn.values()].map((one) => one.place), [...indexes.children]];
    if (places.length !== shown.length || places.some((place, i) => place !== shown[i])) indexes.replaceChildren(...places);
  }

  function begun(job) {
    jobs.take(job);
    jobs.list.firstElementChild.scrollIntoView({ block: "nearest" });
  }

  look();
  repeat(() => missing && look(), { every: () => LOOK, signal });
  return () => left.abort();
}

function index(told, begun) {
  const title = h("h2", {}, told.pipeline);
  if (told.error) return h("section", { class: "held" }, title, h("div", { class: "fault", role: "alert" }, told.error));
  const trouble =
    told.not_reloaded && h("div", { class: "fault" }, h("p", { t: "not_reloaded" }), h("pre", {}, told.not_reloaded));
  const body = told.index
    ? [figures(told), facts(told)]
    : told.sources
      ? [h("p", { class: "greeting", t: "no_index" })]
      : [noIndex()];
  return h("section", { class: "held" }, title, trouble, body, failures(told), update(told, begun));
}

function figures({ documents, chunks, failed }) {
  const figure = (key, n) =>
    h("div", { class: key === "failed" && n ? "bad" : "" }, h("dd", {}, number(n)), h("dt", { t: key }));
  return h(
    "dl",
    { class: "figures" },
    figure("documents", documents),
    figure("chunks", chunks),
    failed ? figure("failed", failed) : null,
  );
}

function facts({ index, model, store, file, cache }) {
  const fact = (key, value) => value && h("div", {}, h("dt", { t: key }), h("dd", {}, value));
  const size =
    cache &&
    `${number(cache.entries)} · ${number(cache.bytes / 1e6, { style: "unit", unit: "megabyte", maximumFractionDigits: 1 })}`;
  return h(
    "dl",
    { class: "facts" },
    fact("embedded_by", `${index.model} · ${number(index.dimensions)}`),
    fact("answers_by", model ?? h("span", { t: "first_there" })),
    fact("store", store),
    fact("file", file),
    fact("cache", size),
  );
}

function failures({ failed, failures }) {
  if (!failed) return null;
  return h(
    "details",
    { class: "failed-list" },
    h("summary", {}, h("span", { t: "failures" }), ` (${number(failed)})`),
    h("ul", { class: "failures", role: "list" }, failures.map(failure)),
  );
}

function update({ pipeline, sources, index }, begun) {
  if (!sources)
    return index
      ? h(
          "div",
          { class: "update" },
          h("p", { class: "muted", t: "no_sources" }),
          h("pre", {}, h("code", {}, "ragstream ingest ./docs")),
        )
      : null;
  const refused = h("div", {});
  const box = (key) => {
    const input = h("input", { type: "checkbox" });
    return [h("label", { class: "choice" }, input, h("span", { t: key })), () => input.checked];
  };
  const [[prune, pruned], [checksum, summed]] = [box("prune"), box("checksum")];
  const button = h("button", {
    class: "primary",
    t: "update",
    onclick: async () => {
      button.disabled = true;
      refused.replaceChildren();
      try {
        const body = { pipeline, prune: pruned(), checksum: summed() };
        begun(await json("/api/ingest", { method: "POST", body, signal: within() }));
      } catch (error) {
        refused.replaceChildren(fault(error));
      }
      button.disabled = false;
    },
  });
  return h(
    "div",
    { class: "update" },
    h(
      "div",
      { class: "choices" },
      button,
      h("details", { class: "options" }, h("summary", { t: "options" }), h("div", { class: "fields" }, checksum, prune)),
    ),
    refused,
  );
}
