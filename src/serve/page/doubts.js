// What is doubtful of an answer, for those who see it and for those who hear it.

import { announce, number } from "./dom.js";
import { t } from "./strings.js";

// What is doubtful of a citation is said where it is pointed at, and below the answer.
export function explain(turn, prose) {
  for (const cite of prose?.querySelectorAll("a.doubt[data-n]") ?? []) {
    const { n } = cite.dataset;
    const said = (turn.doubts ?? []).filter((doubt) => doubt.n.includes(Number(n)));
    const reasons = [...new Set(said.map(({ kind, said }) => `${t(`doubt_${kind}`)}: ${said}`))];
    const what = reasons.join("; ");
    if (what) cite.title = t("doubtful", { what });
    // Its name begins as what is seen of it: who speaks to the browser says that.
    cite.setAttribute("aria-label", t(what ? "source_doubted" : "source_in_doubt", { n, what }));
  }
}

// The note of a doubt, below an answer.
export const doubted = ({ n, kind, said }) => ({
  key: "doubt",
  vars: { n: n.join(", "), kind: t(`doubt_${kind}`), said },
});

// An answer is heard without its marks: at its end it is said what is doubtful of it.
export function hear({ doubts = [], unknown_citations: unknown = [] }) {
  const what = doubts.map(doubted).map(({ key, vars }) => t(key, vars));
  if (what.length) announce(t("doubts_heard", { count: number(what.length), what: what.join("; ") }));
  if (unknown.length) announce(t("unknown", { n: unknown.join(", ") }));
}
