#!/usr/bin/env bash
# langgraph-checkpoint-postgres 3.2.0 (PostgresStore) and langgraph-checkpoint 4.3.2 (InMemoryStore); PostgreSQL 16 with pgvector as pgserver
# 0.1.4 from PyPI brings it.
#
# An agent's long memory is a store that is searched by meaning: `put` keeps what is known of a user under a key, and the same key with another
# value replaces it. Lists are indexed an entry at a time (`fields: ["facts[*]"]`, as the docs show). A memory that was changed should be found
# by what it says now.
#
# Seen, in both stores: `put` writes the vectors of the new value and takes none of the old away, so that those which are not overwritten stay.
# - A list that has become shorter is found by what it no longer has. "lives in Paris, likes tea" is replaced by "lives in Berlin": a question
#   about Paris has this memory first, at 0.91, though it is 0.1 near to what stands there. With one entry the vector has another name than
#   with two, so that here all of the old ones stay.
# - A list that was emptied, and a value that was put with `index=False`, which is there to keep it from being found, are found by the old
#   value.
# Nothing is logged, and the value that comes is the new one, with the score of the old. `delete` before `put` mends it: the script shows it.
#
# For a RAG user a memory that was corrected goes on coming first for what is no longer so, before those that are about the question, for as
# long as the user is known. Upstream: langgraph 8214, open since June 2026, has `index=False` of the store in memory; a comment to 8757, open
# since August 2026, has shorter lists of the one over SQLite; of Postgres no issue was found as of November 2026.
#
# Fails if that changes. Linux or macOS with python3; some 90 MB to fetch, 190 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export XDG_RUNTIME_DIR=$folder
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  langgraph-checkpoint-postgres==3.2.0 langgraph-checkpoint==4.3.2 'psycopg[binary]==3.3.9' pgserver==0.1.4
LANGCHAIN_TRACING_V2=false "$folder/venv/bin/python" - "$folder/data" <<'PYTHON'
import sys

import pgserver
from langgraph.store.memory import InMemoryStore
from langgraph.store.postgres import PostgresStore

PARIS, TEA, BERLIN, TRAINS = "lives in Paris", "likes tea", "lives in Berlin", "took a train to Paris"
QUESTION = "Where in Paris?"
VECTORS = {
    PARIS: [1.0, 0.0, 0.0, 0.0], TEA: [0.0, 1.0, 0.0, 0.0], BERLIN: [0.0, 0.0, 1.0, 0.0], TRAINS: [0.75, 0.6614, 0.0, 0.0],
    QUESTION: [0.91, 0.0, 0.1, 0.4024],
}
INDEX = {"dims": 4, "embed": lambda texts: [VECTORS[text] for text in texts], "fields": ["facts[*]"]}
USER = ("memories", "user")


def found(store, *values):
    """The memories that a question finds, with their scores, after one of them was put with each of these values in turn."""
    for item in store.search(USER):
        store.delete(USER, item.key)
    store.put(USER, "train", {"facts": [TRAINS]})
    for facts, settings in values:
        if facts is None:
            store.delete(USER, "home")
        else:
            store.put(USER, "home", {"facts": facts}, **settings)
    hits = store.search(USER, query=QUESTION)
    return [(item.key, item.value["facts"], None if item.score is None else round(item.score, 2)) for item in hits]


def ask(store):
    old = ([PARIS, TEA], {})
    return {
        "never more than that": found(store, ([BERLIN], {})),
        "a shorter list": found(store, old, ([BERLIN], {})),
        "an empty list": found(store, old, ([], {})),
        "index=False": found(store, ([PARIS], {}), ([BERLIN], {"index": False})),
        "deleted before": found(store, old, (None, {}), ([BERLIN], {})),
    }


uri = pgserver.get_server(sys.argv[1]).get_uri()
with PostgresStore.from_conn_string(uri, index=INDEX) as postgres:
    postgres.setup()
    seen = {"Postgres": ask(postgres), "in memory": ask(InMemoryStore(index=INDEX))}
for store, answers in seen.items():
    for case, hits in answers.items():
        print(f"{store:10} {case:22} {hits}")
train, home = ("train", [TRAINS], 0.68), ("home", [BERLIN], 0.1)
for store, answers in seen.items():
    assert answers["never more than that"] == answers["deleted before"] == [train, home], f"{store}: a fresh memory, or the remedy, has changed"
    assert answers["a shorter list"] == [("home", [BERLIN], 0.91), train], f"{store}: it has changed"
    assert answers["an empty list"] == [("home", [], 0.91), train], f"{store}: an empty list has changed"
    assert answers["index=False"] == [("home", [BERLIN], 0.91), train], f"{store}: index=False has changed"
print("as described")
PYTHON
