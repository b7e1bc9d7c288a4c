#!/usr/bin/env bash
# chonkie 1.7.0 (OverlapRefinery).
#
# Chunks overlap so that a sentence which stands across a cut is whole in one of them. `mode="recursive"` takes the overlap at natural
# boundaries, as its name for the rules says: paragraphs, sentences, clauses, and words where a sentence is longer than the overlap. What is
# put before or behind a chunk should be the text that stands there.
#
# Seen: where it comes down to words, they are taken apart at the spaces and put together without them: a chunk begins with
# "ofthewholeserviceiscomplete.Keys are rotated…". With a larger overlap it is a whole sentence in one word, as the words without their spaces
# have room where the sentence has none. So for `prefix`, `suffix` and `justified`, and in a `Pipeline`. The chunk counts the characters that
# are so left, and its place in the text is that of the chunk without the overlap. `mode="token"` (the default) keeps the spaces: the script
# shows it.
#
# For a RAG user each chunk after a long sentence begins with a word of fifty letters, which a search by words finds by none of its words and
# which a model reads as noise: what was to mend the cut is lost to both. No issue was found as of November 2026.
#
# Fails if that changes. Linux or macOS with python3; some 30 MB to fetch, 120 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check chonkie==1.7.0
"$folder/venv/bin/python" - <<'PYTHON'
from chonkie import OverlapRefinery, Pipeline, SentenceChunker

FIRST = "You may not delete a signing key before the backup of the whole service is complete. "
SECOND = "Keys are rotated every ninety days by the service itself and the old ones are kept for a week. "
LAST = "Old keys are read and not written."
TEXT = FIRST + SECOND + LAST
CHUNKS = [FIRST, SECOND, LAST]


def overlap(size, method, mode="recursive", text=TEXT):
    chunks = SentenceChunker(chunk_size=100).chunk(text)
    assert "".join(chunk.text for chunk in chunks) == text
    return [chunk.text for chunk in OverlapRefinery(context_size=size, mode=mode, method=method).refine(chunks)]


seen = {
    "prefix of 30": overlap(30, "prefix"), "prefix of 80": overlap(80, "prefix"), "suffix of 30": overlap(30, "suffix"),
    "justified, 30": overlap(30, "justified"), "token, 30": overlap(30, "prefix", "token"),
}
pipeline = Pipeline().chunk_with("sentence", chunk_size=100).refine_with("overlap", context_size=30, mode="recursive", method="prefix")
seen["a pipeline"] = [chunk.text for chunk in pipeline.run(texts=TEXT).chunks]
for name, chunks in seen.items():
    print(f"{name:14} {chunks[:2]}")
assert [chunk.text for chunk in SentenceChunker(chunk_size=100).chunk(TEXT)] == CHUNKS, "the chunker has changed"
assert seen["prefix of 30"][1] == "ofthewholeserviceiscomplete." + SECOND, "it has changed"
assert seen["prefix of 80"][1] == FIRST.replace(" ", "") + SECOND, "a larger overlap has changed"
assert seen["suffix of 30"][0] == FIRST + "Keysarerotatedeveryninetydays", "`suffix` has changed"
assert seen["justified, 30"][1].startswith("ofthewholeserviceiscomplete.Keys"), "`justified` has changed"
assert seen["a pipeline"] == seen["prefix of 30"], "a pipeline has changed"
assert seen["token, 30"][1] == FIRST[-30:] + SECOND, "the remedy has changed"
print("as described")
PYTHON
