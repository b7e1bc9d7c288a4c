// What the service does and did lately: plots of ingests, of quotas, of answers.

import { json, within } from "./api.js";
import * as chart from "./chart.js";
import { h, number } from "./dom.js";
import { STAGES } from "./ingest.js";
import { t } from "./strings.js";
import { repeat } from "./watch.js";

// How far back, in seconds, and how often it is looked again, in milliseconds.
const RANGES = [
  ["last_minutes", 600, 2000],
  ["last_hour", 3600, 10_000],
  ["last_hours", 14_400, 10_000],
];
let range = 0;

const rate = (value) => number(value, { maximumFractionDigits: value < 10 ? 1 : 0 });
const percent = (value) => number(value, { style: "percent", maximumFractionDigits: 0 });
const whole = (value) => number(value);

// The plots: the column, its title, how a value is said, and what the axis ends with at least.
const INGEST = [
  ["documents", "rate_documents", rate],
  ["chunks", "rate_chunks", rate],
  ["tokens", "rate_tokens", rate],
  ["requests", "rate_requests", rate],
  ["quota", "quota_used", percent, 1],
  ["held", "quota_held", percent, 1],
];
const ASKED = [
  ["answers", "rate_answers", rate],
  ["searches", "rate_searches", rate],
  ["answering", "answering", whole],
  ["searching", "searching_now", whole],
];

export function show(main) {
  const left = new AbortController();
  const shared = chart.cursor();
  const drawn = new Map();
  const make = ([key, title, format, most]) => {
    const one = chart.line({ title, shared, format, most });
    drawn.set(key, one);
    return one.whole;
  };
  const band = chart.band({ title: "limit_over_time", shared, stages: STAGES });
  const select = h(
    "select",
    { id: "range", onchange: () => ((range = Number(select.value)), look()) },
    RANGES.map(([key], i) => h("option", { value: i, selected: i === range, t: key })),
  );
  const up = h("p", { class: "muted up" });
  const quiet = h("p", { class: "muted", t: "no_ingest_lately", hidden: true });
  const plots = h("div", { class: "plots" }, INGEST.map(make));
  const fault = h("div", {});
  let series = { at: [] };
  const columns = () =>
    [...ASKED, ...INGEST]
      .map(([key, title, format]) => [title, series[key], format])
      .concat([["limit_over_time", series.limit, (stage) => t(`stage_${stage}`)]]);
  main.replaceChildren(
    h("h1", { t: "activity_title" }),
    h("div", { class: "ranges" }, h("label", { for: "range", class: "choice" }, h("span", { t: "time" }), select), up),
    fault,
    h("section", { class: "held" }, h("h2", { t: "asked_title" }), h("div", { class: "plots" }, ASKED.map(make))),
    h("section", { class: "held" }, h("h2", { t: "ingests_title" }), quiet, band.whole, plots),
    chart.table(
      () => series.at,
      columns,
    ),
  );

  function draw() {
    const { at } = series;
    // What runs is told as of now; before the second look there is nothing.
    for (const [key, one] of drawn) one.update(at, series[key]);
    const ingested = series.limit.some(Boolean) || series.ingesting.some(Boolean) || series.chunks.some(Boolean);
    const known = series.quota.some((value) => value !== null);
    quiet.hidden = ingested;
    plots.hidden = band.whole.hidden = !ingested;
    drawn.get("quota").whole.hidden = !known;
    if (ingested) {
      band.update(at, series.limit);
      for (const [key] of INGEST) drawn.get(key).update(at, series[key]);
    }
  }

  async function look() {
    const [asked, last] = [range, RANGES[range][1]];
    try {
      const told = await json(`/api/history?seconds=${last}`, { signal: within(left.signal) });
      // Another time may have been chosen meanwhile.
      if (left.signal.aborted || asked !== range) return;
      series = told.series;
      for (const key of ["answers", "searches"]) series[key] = lastMinute(series.at, series[key]);
      up.textContent = t("up_for", { time: span(told.up) });
      fault.replaceChildren();
      if (series.at.length) draw();
    } catch (error) {
      if (error.name === "AbortError") return;
      fault.replaceChildren(h("div", { class: "fault", role: "alert" }, error.message));
    }
  }

  // Nothing moves away under the eyes of who reads a value, and nothing is asked for nobody.
  const watch = () => shared.at === null && look();
  const resized = () => series.at.length && draw();
  addEventListener("resize", resized, { signal: left.signal });
  repeat(watch, { every: () => RANGES[range][2], signal: left.signal });
  return () => left.abort();
}

// Of rates a second, how many there were in the minute before each time.
function lastMinute(at, rates) {
  const step = at.length > 1 ? (at.at(-1) - at[0]) / (at.length - 1) : 1;
  const window = Math.max(Math.round(60 / step), 1);
  return rates.map((_, i) => {
    const some = rates.slice(Math.max(i + 1 - window, 0), i + 1);
    return (some.reduce((sum, rate) => sum + rate * step, 0) * 60) / (window * step);
  });
}

function span(seconds) {
  const unit = (value, unit) => number(value, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 });
  if (seconds < 120) return unit(seconds, "second");
  if (seconds < 7200) return unit(seconds / 60, "minute");
  if (seconds < 172_800) return unit(seconds / 3600, "hour");
  return unit(seconds / 86_400, "day");
}
