#!/usr/bin/env bash
# lancedb 0.40.0 (`LinearCombinationReranker`, and what `rerank(normalize=…)` gives to any reranker).
#
# A hybrid search weighs what is near by meaning against what has the words. LanceDB brings both to a scale from 0 to 1 first, so that a
# reranker can add them. A passage that is found by words should then have more of them than one that is not found; and the clearest case,
# an error code or a part number that one passage alone has, should weigh the most.
#
# Seen: scores are scaled by the smallest and the largest of the list. Of a list of one, and of one whose passages score alike, all become
# 0.0, which is what a passage without the words counts, too. So the words decide least where they are surest: a code that stands in one
# passage counts nothing, and that passage comes last, even where words weigh nine tenths; one common word more in the question, which
# some other passage has as well, and it comes first. `normalize="rank"` does the same. RRF, the default, looks at no scores, and is right.
#
# For a RAG user hybrid search is there for the codes and names that vectors are worst at, and this is where it gives them up, in silence.
# `LinearCombinationReranker` had its ranking upside down until 2026 (lancedb 3154); of lists of one no issue was found as of November
# 2026. LlamaIndex and Haystack treat the case by itself in their fusions of scores.
#
# Fails if that changes. Linux or macOS with python3; some 130 MB to fetch, 400 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check lancedb==0.40.0
"$folder/venv/bin/python" - "$folder/lance" <<'PYTHON'
import sys

import lancedb
from lancedb.index import FTS
from lancedb.rerankers import LinearCombinationReranker, RRFReranker

PASSAGES = [
    "The service answers E4711 when the quota is used up.", "Errors of the network are retried.", "Errors of the quota are told.",
    "Errors of the disk are logged.", "Errors of the parser are named.",
]
CODE = 0
QUESTION = [1.0, 0.0]  # by meaning the passage with the code is the farthest
VECTORS = [[0.0, 1.0], [1.0, 0.0], [0.9, 0.3], [0.8, 0.5], [0.7, 0.6]]

table = lancedb.connect(sys.argv[1]).create_table(
    "passages", [{"id": i, "text": text, "vector": vector} for i, (text, vector) in enumerate(zip(PASSAGES, VECTORS))],
)


class Told(RRFReranker):
    """What a reranker is given of the words."""

    def rerank_hybrid(self, query, vector_results, fts_results):
        self.scores = {row["id"]: round(row["_score"], 2) for row in fts_results.to_pylist()}
        return super().rerank_hybrid(query, vector_results, fts_results)


def ask(words, reranker, normalize="score"):
    query = table.search(query_type="hybrid").vector(QUESTION).text(words).rerank(reranker, normalize=normalize)
    return [hit["id"] for hit in query.limit(5).to_list()]


table.create_index("text", config=FTS())
seen = {}
for words in ("E4711", "E4711 quota"):
    for normalize in ("score", "rank"):
        told = Told()
        ask(words, told, normalize)
        places = {share: ask(words, LinearCombinationReranker(1 - share), normalize).index(CODE) + 1 for share in (0.3, 0.9)}
        seen[words, normalize] = told.scores, places
        print(f"{words:12} {normalize:6} scores by words {told.scores}, place of the passage with the code by the share of words {places}")
found = ask("E4711", RRFReranker())[:2]
alike = Told()
ask("errors", alike)
print(f"by RRF {found} come first; scores by words of passages that have the word alike: {alike.scores}")
lost, first = ({CODE: 0.0}, {0.3: 5, 0.9: 5}), {CODE: 1.0, 2: 0.0}
assert seen == {
    ("E4711", "score"): lost, ("E4711", "rank"): lost,
    ("E4711 quota", "score"): (first, {0.3: 5, 0.9: 1}), ("E4711 quota", "rank"): (first, {0.3: 4, 0.9: 1}),
}, "it has changed"
assert alike.scores == dict.fromkeys((1, 2, 3, 4), 0.0) and CODE in found, "passages that score alike, or RRF, have changed"
print("as described")
PYTHON
