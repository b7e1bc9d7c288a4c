#!/usr/bin/env bash
# ir_measures 0.4.3 (with pytrec_eval-terrier 0.5.11, which it brings).
#
# ir_measures computes each measure by whichever package knows it (`trec_eval`, MS MARCO's script, `gdeval` and others), and tells all of
# them of one run in one call. One should think that they judge one ranking: the better score first, and of a document that is named
# twice, as by a search that finds two of its passages, one place or an error; `trec_eval` itself refuses such a run.
#
# Seen: `RR`, `RR@10`, `nDCG@10` and `nDCG(dcg='exp-log2')@10` of one call stand for up to three rankings.
# - Equal scores: `RR` says 0.5 and `RR@10` says 1.0 of two documents, and the other way round where the ids are swapped, as one breaks ties
#   by the later name and one by the earlier. Fused rankings have many: what is first by words only and what is first by meaning only.
# - Different scores, above 16 million: single precision makes equals of them, so that a run scored by time (seconds) is judged by name
#   where two answers are a minute apart, by some of the measures and not by others.
# - A document named twice has its last score, not its best, so that a search that found it first is said to have found it third; the
#   exponential nDCG counts it twice, and says 1.43, of a figure that ends at 1.
#
# For a RAG user passages are what is found and documents what is judged, and "nDCG@10 rose by 3" may be the passages of a document that
# moved to the end. The remedies: to keep a document's best passage, and to score a run by place (1/1, 1/2, …). That the packages break ties
# in different ways is known (ir_measures 18, open since June 2021), and that duplicates may lead past 1 (pytrec_eval 50, May 2024); of a
# better score that is overwritten, and of single precision in some measures, no issue speaks as of November 2026.
#
# Fails if that changes. Linux or macOS with python3 and perl (for `gdeval`); some 60 MB to fetch, 250 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ir_measures==0.4.3 pytrec_eval-terrier==0.5.11
"$folder/venv/bin/python" - <<'PYTHON'
import ir_measures
from ir_measures import P, RR, Qrel, ScoredDoc, nDCG

MEASURES = [P @ 1, RR, RR @ 10, nDCG @ 10, nDCG(dcg="exp-log2") @ 10]
FIRST, SECOND = 1.0, 0.5  # what RR says where the answer stands
BY_PLACE = {1: 1.0, 2: 0.631, 3: 0.5}  # and nDCG


def judge(answer, run):
    """Each measure of a run of one question that has one answer."""
    seen = ir_measures.calc_aggregate(MEASURES, [Qrel("1", answer, 1)], [ScoredDoc("1", *found) for found in run])
    return [round(seen[measure], 3) for measure in MEASURES]


now = 1_764_000_000.0
runs = {
    "equal scores, the answer is `a`": judge("a", [("a", 0.5), ("b", 0.5)]),
    "equal scores, the answer is `b`": judge("b", [("a", 0.5), ("b", 0.5)]),
    "a minute apart, the answer first": judge("a", [("a", now), ("b", now - 60)]),
    "named twice, the answer first": judge("a", [("a", 0.9), ("b", 0.8), ("c", 0.7), ("a", 0.1)]),
    "its best passage kept": judge("a", [("a", 0.9), ("b", 0.8), ("c", 0.7)]),
    "scored by place": judge("a", [("a", 1 / 1), ("b", 1 / 2)]),
}
print(f"{'':34}", *MEASURES)
for name, seen in runs.items():
    print(f"{name:34}", *seen)
perfect = [1.0, FIRST, FIRST, BY_PLACE[1], BY_PLACE[1]]
assert runs == {
    "equal scores, the answer is `a`": [0.0, SECOND, FIRST, BY_PLACE[2], BY_PLACE[2]],
    "equal scores, the answer is `b`": [1.0, FIRST, SECOND, BY_PLACE[1], BY_PLACE[1]],
    "a minute apart, the answer first": [0.0, SECOND, FIRST, BY_PLACE[2], BY_PLACE[1]],
    "named twice, the answer first": [0.0, 0.333, 0.333, BY_PLACE[3], 1.431],
    "its best passage kept": perfect,
    "scored by place": perfect,
}, "it has changed"
print("as described")
PYTHON
