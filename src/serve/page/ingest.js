// An ingest, watched while it goes on.

import { events, json } from "./api.js";
import { announce, h, number, seconds } from "./dom.js";
import * as plots from "./chart.js";
import { t } from "./strings.js";

// Failed documents that are listed while they come in.
const LISTED = 100;
// Points that are drawn, at most.
const POINTS = 240;
export const STAGES = ["read", "parse", "chunk", "context", "embed", "store"];

// A card of a job; it is followed until it ends, or `signal` says that nobody looks any more.
export function watch(job, { signal, ended }) {
  const state = h("span", { class: "state", t: `state_${job.state}` });
  const cancel = h("button", { class: "quiet", t: "cancel", onclick: stop, hidden: true });
  const counts = h("dl", { class: "counts" });
  const limit = h("p", { class: "muted limit" });
  const shared = plots.cursor();
  const per = (value) => number(value, { maximumFractionDigits: value < 10 ? 1 : 0 });
  const rate = plots.line({ title: "throughput", shared, format: per, name: seconds });
  const chart = h("div", { hidden: true }, rate.whole);
  const failures = h("ul", { class: "failures", role: "list" });
  const said = h("div", {});
  const whole = h(
    "article",
    { class: "job" },
    h("header", {}, h("h3", {}, h("span", { t: "ingest" }), " ", h("span", { class: "muted" }, job.pipeline)), state, cancel),
    counts,
    limit,
    chart,
    failures,
    said,
  );
  const samples = [[0, 0]];
  let failed = 0;

  function phase(name) {
    state.dataset.t = `state_${name}`;
    state.textContent = t(`state_${name}`);
    whole.dataset.state = name;
    cancel.hidden = !["waiting", "running"].includes(name);
  }

  function progress(told) {
    const { documents, chunks, embeddings } = told;
    const shown = [
      ["seen", documents.seen],
      ["added", documents.added],
      ["changed", documents.changed],
      ["unchanged", documents.unchanged],
      ["removed", documents.removed],
      ["failed", documents.failed],
      ["stored", chunks.upserted],
      ["tokens_count", embeddings.tokens],
    ];
    counts.replaceChildren(
      ...shown
        .filter(([key, n]) => n || key === "seen" || key === "stored")
        .map(([key, n]) => h("div", { class: key }, h("dt", { t: key }), h("dd", {}, number(n)))),
    );
    const [before] = samples.at(-1);
    if (told.seconds > before) samples.push([told.seconds, chunks.upserted]);
    if (samples.length > 2 && chunks.upserted) {
      chart.hidden = false;
      const points = rates(samples);
      rate.update(
        points.map(([at]) => at),
        points.map(([, value]) => value),
      );
    }
  }

  // How much of each stage goes on at once, and which one the others wait for: where most goes on, unless it is known better.
  function busy(load, limiting) {
    // Contexts are for pipelines that name a model for them.
    const all = STAGES.map((stage) => [stage, load[stage] ?? 0]).filter(([stage, n]) => n || stage !== "context");
    const most = Math.max(...all.map(([, n]) => n));
    if (most < 0.05) return;
    const marked = limiting ?? all.find(([, n]) => n === most)[0];
    const bars = all.map(([stage, n]) =>
      h(
        "li",
        { class: stage === marked ? "most" : "" },
        h("span", { t: `stage_${stage}` }),
        h("meter", { min: "0", max: String(most), value: String(n), label: `stage_${stage}` }),
      ),
    );
    limit.replaceChildren(h("span", { t: "busiest" }), h("ul", { class: "stages", role: "list" }, bars));
  }

  function end(told) {
    if (told.type === "summary") {
      progress(told);
      const facts = [t("took", { time: seconds(told.seconds) })];
      if (told.bottleneck) facts.push(t("limited_by", { stage: t(`stage_${told.bottleneck}`) }));
      if (told.embeddings.cost_usd)
        facts.push(
          t("cost", {
            usd: number(told.embeddings.cost_usd, { style: "currency", currency: "USD", maximumSignificantDigits: 2 }),
          }),
        );
      limit.replaceChildren(facts.join(" · "));
      phase(told.outcome === "interrupted" ? "interrupted" : "done");
    } else {
      phase("failed");
      said.append(
        h(
          "div",
          { class: "fault", role: "alert" },
          h("p", {}, told.message),
          told.hint ? h("p", { class: "muted" }, told.hint) : "",
        ),
      );
    }
    announce(`${t("ingest")}: ${state.textContent}`);
  }

  function take(line) {
    if (line.type === "progress") {
      phase(line.state);
      progress(line);
      if (line.busy) busy(line.busy, line.limit?.stage);
    } else if (line.type === "failed") {
      failed += 1;
      if (failed <= LISTED) failures.append(failure(line));
    } else if (line.type === "notice") {
      said.append(h("p", { class: "note" }, line.message));
    } else {
      end(line);
    }
  }

  async function stop() {
    cancel.disabled = true;
    phase((await json(`/api/ingest/${job.id}`, { method: "DELETE" })).state);
  }

  async function follow() {
    // A connection that was lost is asked for again: what it has told comes once more, from the beginning.
    while (!signal.aborted) {
      let over = false;
      failures.replaceChildren();
      said.replaceChildren();
      failed = 0;
      try {
        await events(`/api/ingest/${job.id}`, { signal }, (line) => {
          over ||= line.type === "summary" || line.type === "error";
          take(line);
        });
      } catch (error) {
        if (error.name === "AbortError" || error.status === 404) return;
      }
      if (over) return ended();
      await new Promise((wait) => setTimeout(wait, 1000));
    }
  }

  phase(job.state);
  if (job.end) {
    end(job.end);
  } else {
    progress(job.progress);
    follow();
  }
  return whole;
}

// Of samples [seconds, total], the rate in each step. A total that shrinks has begun anew. Of a long run each step is of several.
export function rates(samples) {
  const every = Math.max(1, Math.ceil(samples.length / POINTS));
  const kept = samples.filter((_, i) => i % every === 0 || i === samples.length - 1);
  return kept.slice(1).map(([at, total], i) => {
    const [before, less] = kept[i];
    return [at, Math.max(0, (total - less) / Math.max(at - before, 0.05))];
  });
}

export const failure = ({ uri, stage, error }) =>
  h("li", {}, h("span", { class: "uri" }, uri), h("span", { class: "muted" }, ` ${t(`stage_${stage}`)}: `), error);
