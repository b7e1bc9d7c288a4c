#!/usr/bin/env bash
# langgraph 1.2.24 (langgraph-checkpoint 4.3.2, langchain-core 1.8.3).
#
# A node of a graph may have a `CachePolicy`, so that the model is not paid twice for the same: "based on the input to the node", say the
# docs. A node is handed its state and the `context` of the run, where settings go (which index, which language, which model). One should
# think that the same question asked again is found, and that another context is another input.
#
# Seen, the other way round:
# - With messages in the state, as `MessagesState` and each chat have them, nothing is ever found. Each message gets a random id when it is
#   added, and the key is a pickle of the state with the ids in it. The model is asked each time, and the cache, which by default forgets
#   nothing, keeps each answer.
# - Without messages another `context`, and another `configurable`, finds the answer of the first: a question for the English index has the
#   passages of the Chinese one. A `key_func` of one's own cannot mend that, as it is handed the state and nothing else.
# - A pickle tells one string twice from two equal ones: a state whose rewritten question is the question itself has one key, and another
#   after it has been read from JSON. Equal inputs miss.
# Nothing is logged. The remedies: a `key_func` over the contents of messages, and settings in the state; the script shows both.
#
# For a RAG user the first costs each answer again, and the second answers from the wrong index. The docs name the input and say no
# more. Upstream: langchain 31117, closed unmerged in 2025, wanted ids of messages that stay the same for caches; langgraph 8753, open since
# August 2026, has nodes that share their entries; of contexts and pickles no issue was found as of November 2026.
#
# Fails if that changes. Linux or macOS with python3; some 100 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check langgraph==1.2.24 langgraph-checkpoint==4.3.2 langchain-core==1.8.3
LANGCHAIN_TRACING_V2=false "$folder/venv/bin/python" - <<'PYTHON'
import json
from dataclasses import dataclass
from typing import TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.cache.memory import InMemoryCache
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import CachePolicy

asked = []


@dataclass
class Context:
    language: str = "en"


class Search(TypedDict, total=False):
    question: str
    rewritten: str
    language: str
    passages: list[str]


def answer(state: MessagesState):
    asked.append(state["messages"][-1].content)
    return {"messages": [("assistant", "Every ninety days.")]}


def by_context(state: Search, runtime: Runtime[Context]):
    asked.append(runtime.context.language)
    return {"passages": [f"from the index in {runtime.context.language}"]}


def by_config(state: Search, config: RunnableConfig):
    asked.append(config["configurable"]["language"])
    return {"passages": [f"from the index in {config['configurable']['language']}"]}


def by_state(state: Search):
    asked.append(state.get("language"))
    return {"passages": [f"from the index in {state.get('language')}"]}


def graph(state, node, **policy):
    made = StateGraph(state, context_schema=Context)
    made.add_node("node", node, cache_policy=CachePolicy(**policy))
    made.add_edge(START, "node")
    return made.compile(cache=InMemoryCache())


def run(name, compiled, *calls):
    """What each call answers, and how often the node ran."""
    asked.clear()
    answers = [compiled.invoke(state, **more) for state, more in calls]
    told = [a["passages"][0].rpartition(" ")[2] if "passages" in a else a["messages"][-1].content for a in answers]
    print(f"{name:50} {told}, ran {len(asked)} of {len(calls)} times")
    return told, len(asked)


question = "How often are keys rotated?"
chat, search = ({"messages": [("user", question)]}, {}), ({"question": question},)
of_contents = lambda state: json.dumps([(message.type, message.content) for message in state["messages"]])
stated = lambda language: ({**search[0], "language": language}, {})
in_context = lambda language: (*search, {"context": Context(language)})
configured = lambda language: (*search, {"config": {"configurable": {"language": language}}})
twice = {"question": question, "rewritten": question}
from_json = lambda: (json.loads(json.dumps(twice)), {})
seen = {
    "messages": run("the same message twice", graph(MessagesState, answer), chat, chat),
    "contents": run("the same message, a key of contents", graph(MessagesState, answer, key_func=of_contents), chat, chat),
    "plain": run("the same question twice", graph(Search, by_state), stated("zh"), stated("zh")),
    "state": run("two languages in the state", graph(Search, by_state), stated("zh"), stated("en")),
    "context": run("two languages in the context", graph(Search, by_context), in_context("zh"), in_context("en")),
    "config": run("two languages in `configurable`", graph(Search, by_config), configured("zh"), configured("en")),
    "JSON": run("a question rewritten as itself, and from JSON", graph(Search, by_state), (twice, {}), from_json()),
    "JSON twice": run("the same, from JSON twice", graph(Search, by_state), from_json(), from_json()),
}
rotated = "Every ninety days."
assert seen["contents"] == ([rotated] * 2, 1) and seen["plain"] == (["zh", "zh"], 1), "what is found has changed"
assert seen["state"] == (["zh", "en"], 2), "another state has changed"
assert seen["messages"] == ([rotated] * 2, 2), "messages have changed"
assert seen["context"] == seen["config"] == (["zh", "zh"], 1), "contexts have changed"
assert (seen["JSON"][1], seen["JSON twice"][1]) == (2, 1), "pickles have changed"
print("as described")
PYTHON
