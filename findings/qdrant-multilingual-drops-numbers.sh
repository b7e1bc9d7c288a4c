#!/usr/bin/env bash
# Qdrant's engine as qdrant-edge-py 0.9.0 from PyPI brings it (the shard of a Qdrant server, in process).
#
# Chinese has no spaces, so that a text index of Qdrant with the usual tokenizer, `word`, takes what stands between two marks of
# punctuation for one word. The tokenizer to take for Chinese is `multilingual`, which segments with a dictionary. One should think that it
# finds what `word` finds, and the words of Chinese besides; and that a filter by text, which asks for all words of a question, never lets
# a passage through that lacks one of them.
#
# Seen: `multilingual` drops each token that is only digits, of passages and questions alike, in English too. A port, an error code, a
# year, a price or a version alone finds nothing, without an error. Beside other words the number is no condition any more: the filter
# "端口 8080" lets a passage about port 9090 through, and BM25 over the same index gives both the same score. Numbers with a letter ("E404")
# are kept, and the engine's own BM25 vectors (`Bm25`), which take the same tokenizers, lose the same. The `word` tokenizer keeps all.
#
# For a RAG index over Chinese manuals this is the half of lexical search that a vector is worst at. It needs terms of one's own (pairs of
# characters, and numbers as they are) in a sparse vector. No issue upstream speaks of numbers as of November 2026; one asks to configure
# the languages that are guessed at (qdrant 8595).
#
# Fails if that changes. Linux or macOS with python3; some 60 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check qdrant-edge-py==0.9.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from pathlib import Path

from qdrant_edge import (
    Bm25, Bm25Config, Distance, EdgeConfig, EdgeShard, EdgeVectorParams, FieldCondition, Filter, MatchText, Point, QueryRequest,
    ScrollRequest, TextIndexParams, TextQuery, TokenizerType, UpdateOperation,
)

PASSAGES = {
    1: "管理接口使用端口 8080",
    2: "管理接口使用端口 9090",
    3: "错误码 E404 表示页面不存在",
    4: "version 1.2 came out in 2026",
}


def ask(tokenizer, questions):
    path = Path(sys.argv[1]) / str(tokenizer).rpartition(".")[2]
    shard = EdgeShard.create(str(path), EdgeConfig(vectors=EdgeVectorParams(size=1, distance=Distance.Dot)))
    shard.update(UpdateOperation.create_field_index("text", TextIndexParams(tokenizer=tokenizer, scoring=True)))
    shard.update(UpdateOperation.upsert_points([Point(id=i, vector=[1.0], payload={"text": t}) for i, t in PASSAGES.items()]))
    answers = {}
    for question in questions:
        all_words = Filter(must=[FieldCondition("text", match=MatchText(question))])
        found, _ = shard.scroll(ScrollRequest(limit=9, filter=all_words))
        ranked = shard.query(QueryRequest(limit=9, query=TextQuery("text", question)))
        answers[question] = sorted(p.id for p in found), {p.id: round(p.score, 2) for p in ranked}
    shard.close()
    return answers


questions = ["8080", "2026", "1.2", "E404", "端口", "端口 8080"]
word, multilingual = (ask(t, questions) for t in (TokenizerType.Word, TokenizerType.Multilingual))
for question in questions:
    print(f"{question:10} word: {word[question]}  multilingual: {multilingual[question]}")

filtered = lambda answers: {question: found for question, (found, _) in answers.items()}
assert filtered(word) == {"8080": [1], "2026": [4], "1.2": [4], "E404": [3], "端口": [], "端口 8080": []}, "`word` has changed"
assert filtered(multilingual) == {
    "8080": [], "2026": [], "1.2": [], "E404": [3], "端口": [1, 2], "端口 8080": [1, 2],
}, "it has changed"
scores = multilingual["端口 8080"][1]
assert scores.keys() == {1, 2} and scores[1] == scores[2], "BM25 has changed"

model = Bm25(Bm25Config(tokenizer=TokenizerType.Multilingual))
terms = {text: len(model.embed_document(text).indices) for text in ("8080", "2026", "GPT-5", "E404", "端口")}
print("terms of a BM25 vector:", terms)
assert terms == {"8080": 0, "2026": 0, "GPT-5": 1, "E404": 1, "端口": 1}, "the BM25 vectors have changed"
print("as described")
PYTHON
