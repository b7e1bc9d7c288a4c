#!/usr/bin/env bash
# langchain-postgres 0.0.19 (PGVectorStore), langchain-core 1.8.3; PostgreSQL 16 with pgvector as pgserver 0.1.4 from PyPI brings it.
#
# `HybridSearchConfig` makes a store search by words and by meaning and fuse the two; a retriever with
# `search_type="similarity_score_threshold"` keeps what is relevant enough, from 0 (not at all) to 1. Put together they should keep the
# passages that are found by both first, and with each question ask for its words.
#
# Seen:
# - What is fused is the greater the better, and stands in the place of the distance, which the relevance is made of: one minus it. The passage
#   that has the words and the meaning has a relevance of 0, the one that has neither 1. A threshold of 0.7 keeps that one alone; the best is
#   dropped by any threshold, by 0.01. With reciprocal ranks, which stay below 0.04, a threshold of 0.9 keeps all of them, and the best is told
#   as the least relevant. Without the hybrid search the same store is right; with it `similarity_search` has the right order.
# - Beside this, and known (langchain-postgres 288, and 337, open since September 2026): the words of the first question are kept in the
#   settings, and each later question is asked by its own meaning and by those words.
# No error is raised. The fused score itself (`similarity_search_with_score`) can be compared, the other way round: the script shows it.
#
# For a RAG user who has measured that hybrid search is better, and kept the threshold that keeps nonsense out, what is left is nonsense, and
# the answer that there is nothing in the documents. Of the relevance no issue was found as of November 2026.
#
# Fails if that changes. Linux or macOS with python3; some 100 MB to fetch, 300 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export XDG_RUNTIME_DIR=$folder
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check langchain-postgres==0.0.19 langchain-core==1.8.3 pgserver==0.1.4
LANGCHAIN_TRACING_V2=false "$folder/venv/bin/python" - "$folder/data" <<'PYTHON'
import sys

import pgserver
from langchain_core.embeddings import Embeddings
from langchain_postgres import PGEngine, PGVectorStore
from langchain_postgres.v2.hybrid_search_config import HybridSearchConfig, reciprocal_rank_fusion, weighted_sum_ranking

QUESTION, NEXT = "error E4711 quota", "parser"
PASSAGES = {
    "The service answers with error E4711 when the quota is used up.": ("both", [1.0, 0.0, 0.0]),
    "Limits are set for each team.": ("near", [0.8, 0.6, 0.0]),
    "The parser names what it cannot read.": ("parser", [0.6, 0.8, 0.0]),
    "Invoices are sent each month.": ("invoices", [0.0, 1.0, 0.0]),
}
NAMES = {text: name for text, (name, _) in PASSAGES.items()}


class Model(Embeddings):
    def embed_documents(self, texts):
        return [PASSAGES[text][1] for text in texts]

    def embed_query(self, text):
        return [1.0, 0.0, 0.0]


server = pgserver.get_server(sys.argv[1])
server.psql("CREATE EXTENSION vector")
engine = PGEngine.from_connection_string(server.get_uri().replace("postgresql://", "postgresql+asyncpg://"))


def store(name, fusion=None):
    engine.init_vectorstore_table(table_name=name, vector_size=3)
    config = HybridSearchConfig(fusion_function=fusion) if fusion else None
    made = PGVectorStore.create_sync(engine, Model(), name, hybrid_search_config=config)
    made.add_texts(list(PASSAGES))
    return made


def kept(made, threshold):
    settings = {"search_type": "similarity_score_threshold", "search_kwargs": {"k": 4, "score_threshold": threshold}}
    return [NAMES[hit.page_content] for hit in made.as_retriever(**settings).invoke(QUESTION)]


seen = {}
for name, fusion in (("vectors", None), ("weighted", weighted_sum_ranking), ("ranks", reciprocal_rank_fusion)):
    made = store(name, fusion)
    seen[name] = {
        "scores": {NAMES[hit.page_content]: round(score, 2) for hit, score in made.similarity_search_with_score(QUESTION, k=4)},
        "relevance": {NAMES[hit.page_content]: round(score, 2) for hit, score in made.similarity_search_with_relevance_scores(QUESTION, k=4)},
        **{threshold: kept(made, threshold) for threshold in (0.01, 0.7, 0.9)},
    }
    for what, told in seen[name].items():
        print(f"{name:9} {what if isinstance(what, str) else f'kept by {what}':12} {told}")
scored = store("fused", weighted_sum_ranking).similarity_search_with_score(QUESTION, k=4)
fused = [NAMES[hit.page_content] for hit, score in scored if score >= 0.7]
both = store("two_questions", weighted_sum_ranking)
words = [[NAMES[hit.page_content] for hit in both.similarity_search(question, k=1)] for question in (QUESTION, NEXT)]
alone = [NAMES[hit.page_content] for hit in store("one_question", weighted_sum_ranking).similarity_search(NEXT, k=2)]
print(f"by the fused score, from 0.7: {fused}; first of two questions in turn: {words}; the two first of the second question alone: {alone}")
everything = ["both", "near", "parser", "invoices"]
assert seen["vectors"][0.7] == ["both", "near"] and seen["vectors"]["relevance"]["both"] == 1.0, "search by vectors has changed"
for name in ("weighted", "ranks"):
    assert next(iter(seen[name]["scores"])) == "both", f"{name}: the fused order has changed"
assert seen["weighted"]["relevance"]["both"] == 0.0 and seen["weighted"]["relevance"]["invoices"] == 1.0, "it has changed"
assert seen["weighted"][0.01] == everything[1:] and seen["weighted"][0.7] == ["invoices"], "what a threshold keeps has changed"
least = min(seen["ranks"]["relevance"], key=seen["ranks"]["relevance"].get)
assert (seen["ranks"][0.9], least) == (everything, "both"), "reciprocal ranks have changed"
assert fused == ["both"], "the remedy has changed"
assert words == [["both"], ["both"]] and alone[0] == "parser", "the words that are kept have changed"
print("as described")
PYTHON
