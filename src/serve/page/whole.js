// Questions about all documents: what it takes to read them, and how far that has come.

import { h, number } from "./dom.js";
import { t } from "./strings.js";

// Whether all documents could be read for a question, and are not.
export const offers = ({ estimate }) => Boolean(estimate && !estimate.reads && estimate.documents > 0);

// What it takes to read them, in words.
export function offer({ documents, requests, cost_usd, at_most_usd, minutes }) {
  const money = (usd) => number(usd, { style: "currency", currency: "USD", maximumSignificantDigits: 2 });
  const known = cost_usd !== null && at_most_usd !== null;
  const paid = known ? t("offer_price", { usd: money(cost_usd), most: money(at_most_usd) }) : t("offer_unpriced");
  const long = minutes !== null && minutes >= 0.1;
  return {
    documents: number(documents),
    requests: number(requests),
    price: cost_usd === 0 ? t("offer_free") : paid,
    minutes: long ? t("offer_minutes", { n: number(minutes, { maximumFractionDigits: 1 }) }) : "",
  };
}

// Where the progress of a pass over all documents is shown; `passages` has the best passages answer instead.
export const pass = (passages) =>
  h(
    "div",
    { class: "pass", hidden: true },
    h("progress", { label: "progress" }),
    h("button", { class: "quiet", t: "from_passages", onclick: passages }),
  );

// Shows how far the pass of a turn that is awaited has come, and says it; nothing where there is none.
export function progress(place, turn) {
  const shown = turn?.read && !turn.sources.length;
  place.hidden = !shown;
  if (!shown) return null;
  const [read, of] = turn.read;
  Object.assign(place.firstElementChild, { max: Math.max(of, 1), value: read });
  return ["reading_all", { documents: number(turn.estimate.documents), read: number(read), of: number(of) }];
}
