#!/usr/bin/env bash
# langchain-postgres 0.0.19 (PGVectorStore), langchain-core 1.8.3; PostgreSQL 16 with pgvector as pgserver 0.1.4 from PyPI brings it.
#
# A knowledge base has most things several times: each edition of a manual has the passage that a question is about. Maximal marginal
# relevance is there for that: of the `fetch_k` nearest passages (20, say the docs) it takes `k`, each near to the question and unlike those
# it has, in that order. So `as_retriever(search_type="mmr")` should give what similarity search does not.
#
# Seen: who does not name `fetch_k` has as many candidates as the store was made to return, 4, whatever `k` is. With `k` of 4 the answer is
# that of a similarity search, four editions of one sentence; with `k` of 8 it is four passages. The store's own `fetch_k`, 20, is read after
# the query, and decides nothing. With `fetch_k` named the right passages come, but in order of distance: what MMR took second is last, and
# a prompt that has room for two has two that are alike. `InMemoryVectorStore` of langchain-core, asked the same, is right.
#
# For a RAG user a setting that is there to show more of the documents has no effect, and asks for no more than it would without: the answer
# rests on one passage, four times over, and nothing says so. No issue was found as of November 2026.
#
# Fails if that changes. Linux or macOS with python3; some 100 MB to fetch, 250 MB in a temporary folder.
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
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_postgres import PGEngine, PGVectorStore

QUESTION = "How are signing keys handled?"
EDITIONS = [f"Signing keys are rotated every ninety days (edition {i})." for i in range(1, 6)]
OTHERS = ["Old keys are kept for a week.", "签名密钥由两人共同更换。", "A lost key is reported at once."]
VECTORS = {
    QUESTION: [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    **{text: [0.95, 0.3, 0.0, 0.0, 0.0, i / 1000] for i, text in enumerate(EDITIONS)},
    OTHERS[0]: [0.85, 0.0, 0.527, 0.0, 0.0, 0.0],
    OTHERS[1]: [0.75, 0.0, 0.0, 0.661, 0.0, 0.0],
    OTHERS[2]: [0.65, -0.3, 0.0, 0.0, 0.698, 0.0],  # the farthest of the three from the editions
}
NAMES = {text: f"edition {i}" for i, text in enumerate(EDITIONS, 1)} | {text: f"other {i}" for i, text in enumerate(OTHERS, 1)}


class Model(Embeddings):
    def embed_documents(self, texts):
        return [VECTORS[text] for text in texts]

    def embed_query(self, text):
        return VECTORS[text]


server = pgserver.get_server(sys.argv[1])
server.psql("CREATE EXTENSION vector")
engine = PGEngine.from_connection_string(server.get_uri().replace("postgresql://", "postgresql+asyncpg://"))
engine.init_vectorstore_table(table_name="passages", vector_size=6)
stores = {"PGVectorStore": PGVectorStore.create_sync(engine, Model(), "passages"), "in memory": InMemoryVectorStore(Model())}
names = lambda documents: [NAMES[document.page_content] for document in documents]
seen = {}
for name, store in stores.items():
    store.add_texts(EDITIONS + OTHERS)
    seen[name, "similar"] = names(store.similarity_search(QUESTION, k=4))
    for settings in ({"k": 4}, {"k": 8}, {"k": 4, "fetch_k": 20}):
        retriever = store.as_retriever(search_type="mmr", search_kwargs=settings)
        seen[name, str(settings)] = names(retriever.invoke(QUESTION))
for (name, asked), found in seen.items():
    print(f"{name:14} {asked:24} {found}")
alike, apart = [f"edition {i}" for i in range(1, 5)], ["edition 1", "other 3", "other 1", "other 2"]
assert seen["in memory", "similar"] == seen["PGVectorStore", "similar"] == alike, "similarity search has changed"
assert seen["in memory", "{'k': 4}"] == seen["in memory", "{'k': 4, 'fetch_k': 20}"] == apart, "langchain-core has changed"
assert len(seen["in memory", "{'k': 8}"]) == 8, "langchain-core has changed"
assert seen["PGVectorStore", "{'k': 4}"] == seen["PGVectorStore", "{'k': 8}"] == alike, "it has changed"
assert seen["PGVectorStore", "{'k': 4, 'fetch_k': 20}"] == ["edition 1", "other 1", "other 2", "other 3"], "the order has changed"
print("as described")
PYTHON
