// Ingests that are under way, and the last that have ended: all of them are followed by one request after the other.

import { json, within } from "./api.js";
import { h } from "./dom.js";
import { card } from "./ingest.js";
import { repeat } from "./watch.js";

// Ingests that are shown of those that have ended.
const SHOWN = 3;
// How often they are looked at, in milliseconds: while one is under way, and while somebody else may begin one.
const [OFTEN, SELDOM] = [1000, 3000];

// Follows them until `signal` says that nobody looks any more; `ended` hears when some have ended.
export function follow({ signal, ended }) {
  const cards = new Map();
  const fault = h("div", { class: "fault", role: "alert", hidden: true });
  const list = h("div", { class: "jobs" });
  let looked = -SELDOM;
  const underWay = () => [...cards.values()].filter((one) => !one.over());

  function take(job) {
    const known = cards.get(job.id);
    if (known) return known.take(job);
    const made = card(job);
    cards.set(job.id, made);
    list.prepend(made.whole);
  }

  async function look() {
    const before = underWay();
    try {
      const { jobs } = await json(`/api/ingest?ended=${SHOWN}`, { signal: within(signal) });
      const told = new Set(jobs.map((job) => job.id));
      jobs.forEach(take);
      // Several have ended at once, or the service was started anew and knows them no longer.
      for (const one of before.filter((one) => !told.has(one.id))) await one.look(signal);
      for (const one of cards.values()) await one.read(signal);
    } finally {
      if (before.some((one) => one.over())) ended();
    }
  }

  async function attempt() {
    if (!underWay().length && performance.now() - looked < SELDOM) return;
    try {
      await look();
      fault.hidden = true;
    } catch (error) {
      if (signal.aborted) return;
      // It is said once, and looked for again.
      if (fault.hidden || fault.textContent !== error.message) fault.textContent = error.message;
      fault.hidden = false;
    }
    looked = performance.now();
  }

  repeat(attempt, { every: () => OFTEN, signal });
  return { whole: h("div", {}, fault, list), take, list };
}
