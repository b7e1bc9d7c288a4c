// An ingest, watched while it goes on.

import { json, within } from "./api.js";
import { announce, fault, h, number, seconds } from "./dom.js";
import * as plots from "./chart.js";
import { t } from "./strings.js";

// Failed documents that are listed while they come in.
const LISTED = 100;
// Points that are drawn, at most.
const POINTS = 240;
export const STAGES = ["read", "parse", "chunk", "context", "embed", "store"];

// A card of a job. It shows what it takes, and asks for what it lacks when it is told to.
export function card(job) {
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
  // Why it was not stopped.
  const refused = h("div", {});
  const whole = h(
    "article",
    { class: "job" },
    h("header", {}, h("h3", {}, h("span", { t: "ingest" }), " ", h("span", { class: "muted" }, job.pipeline)), state, cancel),
    counts,
    limit,
    chart,
    failures,
    said,
    refused,
  );
  const samples = [[0, 0]];
  // Lines that were told of it, besides its progress, and those that are shown.
  let [lines, shown, failed] = [0, 0, 0];
  let over = false;

  function phase(name) {
    state.dataset.t = `state_${name}`;
    state.textContent = t(`state_${name}`);
    whole.dataset.state = name;
    cancel.hidden = !["waiting", "running"].includes(name);
    if (cancel.hidden) refused.replaceChildren();
  }

  function progress(told) {
    const { documents, chunks, embeddings } = told;
    const figures = [
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
      ...figures
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
      said.append(fault(told));
    }
    announce(`${t("ingest")}: ${state.textContent}`);
  }

  // What the service tells of the job.
  function take(told) {
    lines = told.lines;
    if (over) return;
    progress(told.progress);
    if (told.end) {
      over = true;
      return end(told.end);
    }
    phase(told.state);
    busy(told.busy ?? {}, told.progress.limit?.stage);
  }

  function line(told) {
    if (told.type === "failed") {
      failed += 1;
      if (failed <= LISTED) failures.append(failure(told));
    } else if (told.type === "notice") {
      said.append(h("p", { class: "note" }, told.message));
    }
  }

  // Asks for lines that are not shown yet.
  async function read(signal) {
    if (shown >= lines) return;
    const told = await json(`/api/ingest/${job.id}/lines?from=${shown}`, { signal: within(signal) });
    shown = told.next;
    told.lines.forEach(line);
  }

  // Asks for the job alone.
  async function look(signal) {
    try {
      take(await json(`/api/ingest/${job.id}`, { signal: within(signal) }));
    } catch (error) {
      if (error.status !== 404) throw error;
      over = true;
      lines = shown;
      phase("gone");
    }
  }

  async function stop() {
    cancel.disabled = true;
    try {
      take(await json(`/api/ingest/${job.id}`, { method: "DELETE", signal: within() }));
      refused.replaceChildren();
    } catch (error) {
      refused.replaceChildren(fault(error));
    }
    cancel.disabled = false;
  }

  take(job);
  // What failed in one that had ended before is among the failures of its index.
  if (over) shown = lines;
  return { whole, id: job.id, take, read, look, over: () => over };
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
