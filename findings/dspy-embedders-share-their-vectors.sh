#!/usr/bin/env bash
# dspy 3.4.1.
#
# `dspy.Embedder` takes the name of a hosted model or a function of one's own: `dspy.Embedder(model.encode)` with a local model is the example
# of its documentation, which says of `caching`, on by default, that it is for hosted models. One should think that a function is called,
# or, if its vectors are kept, that they are kept for that function.
#
# Seen: they are kept, in memory and on disk, under the source text of the function, whatever it is bound to.
# - `encode` of two models is one source text. Who changes the model, in the same process or after a restart, has the vectors of the old one
#   for every text that was asked before; the new model is not called, and a comparison of two models says that they are equal. A new
#   passage makes its batch another one, which the new model embeds, while the question keeps its vector of the old: two models in one index.
# - What has no source text has one key for all: `functools.partial(model.encode, prompt_name="query")`, the usual way to give a model the
#   prompt of its kind, has the vectors of `prompt_name="document"`, and objects that are called share theirs whatever their class.
# - So do the functions that one factory makes.
# Nothing is logged. `caching=False` calls the function, and what is given to the embedder as an argument (`dspy.Embedder(model.encode,
# prompt_name="query")`, or the name of the model, for a function that takes one) is part of the key: the script shows both.
#
# For a RAG user the better model changes nothing, or makes all worse, in each project on the machine, as they share the folder, until it is
# removed by hand. No issue was found as of November 2026 (dspy 9708, mended in May 2026, is a `caching=False` that one call gave and the
# embedder did not heed).
#
# Fails if that changes. Linux or macOS with python3; some 130 MB to fetch, 470 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'dspy[numpy]==3.4.1'
cat >"$folder/ask.py" <<'PYTHON'
import functools
import logging
import sys

import dspy

OLD, NEW = "old model", "new model"
QUESTION, RIGHT, OTHER, ADDED = "如何轮换密钥？", "签名密钥每九十天更换一次。", "发票每周五支付。", "食堂今天关闭。"
AXES = {  # the new model knows the language; the old one has invoices nearest to the question, and its axes mean other things
    OLD: {QUESTION: 0, OTHER: 0, RIGHT: 1, ADDED: 2}, NEW: {QUESTION: 1, RIGHT: 1, OTHER: 2, ADDED: 0},
}
called, told = [], []
logging.getLogger("dspy").addHandler(type("Keep", (logging.Handler,), {"emit": lambda _, record: told.append(record.getMessage())})())


class Model:
    """What a local model looks like: texts to vectors, with a prompt for questions and one for documents."""

    def __init__(self, name):
        self.name = name

    def encode(self, texts, prompt_name=None):
        called.append(self.name)
        kind = {None: 0.0, "document": 0.1, "query": 0.2}[prompt_name]
        return [[float(axis == AXES[self.name].get(text, 0)) for axis in range(3)] + [kind] for text in texts]


class First:
    def __call__(self, texts):
        return [[1.0]] * len(texts)


class Second:
    def __call__(self, texts):
        return [[2.0]] * len(texts)


def made(number):
    def embed(texts):
        return [[number]] * len(texts)

    return embed


def found(model, passages, **settings):
    """The first hit for the question, and which models were asked for it."""
    called.clear()
    search = dspy.retrievers.Embeddings(passages, dspy.Embedder(model.encode, **settings), k=1)
    return search(QUESTION).passages[0], sorted(set(called))


def vectors(*embedders):
    return [round(dspy.Embedder(each)("one")[-1].item(), 3) for each in embedders]


old, new = Model(OLD), Model(NEW)
seen = {"new model": found(new, [RIGHT, OTHER])} if sys.argv[1] == "after a restart" else {
    "old model": found(old, [RIGHT, OTHER]),
    "new model": found(new, [RIGHT, OTHER]),
    "new model, without the cache": found(new, [RIGHT, OTHER], caching=False),
    "new model, one passage more": found(new, [RIGHT, OTHER, ADDED]),
}
prompts = [functools.partial(new.encode, prompt_name=name) for name in ("document", "query")]
named = [round(dspy.Embedder(new.encode, prompt_name=name)("two")[-1].item(), 3) for name in ("document", "query")]
shared = {"prompts": vectors(*prompts), "objects": vectors(First(), Second()), "of one factory": vectors(made(3.0), made(4.0))}
for what, answer in {**seen, **shared, "prompts as an argument": named}.items():
    print(f"{sys.argv[1]}: {what:29} {answer}")
print(f"{sys.argv[1]}: the log has {told}")
assert not told, "the log has changed"
assert seen["new model"] == (OTHER, []), "the vectors of another model have changed"
# objects have the vector of the first prompt, as the first call without a source text has filled the place for all
assert shared == {"prompts": [0.1, 0.1], "objects": [0.1, 0.1], "of one factory": [3.0, 3.0]}, "what shares its vectors has changed"
assert named == [0.1, 0.2], "arguments have changed"
if sys.argv[1] == "first":
    assert seen["old model"] == (OTHER, [OLD]) and seen["new model, without the cache"] == (RIGHT, [NEW]), "the models have changed"
    assert seen["new model, one passage more"] == (ADDED, [NEW]), "two models in one index have changed"
PYTHON
for run in "first" "after a restart"; do
    DSPY_CACHEDIR=$folder/cache LITELLM_LOCAL_MODEL_COST_MAP=True "$folder/venv/bin/python" "$folder/ask.py" "$run"
done
echo "as described"
