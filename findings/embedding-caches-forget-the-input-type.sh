#!/usr/bin/env bash
# litellm 1.110.2, langchain-classic 1.0.8.
#
# Embedding models of retrieval make another vector of a text as a question than as a document, by a parameter that each provider calls its
# own: `input_type` with Cohere and Voyage, `task` with Jina. A cache of embeddings should know the two apart; who sees that the parameter
# was missing, adds it and indexes anew should pay for new vectors.
#
# Seen: litellm's cache makes its keys of OpenAI's parameters alone. A question gets the vector of the document with the same text, and the
# other way round. An index that is built again with the right `input_type` has the old vectors, all of them, for no tokens at all: the
# provider is not asked, and a comparison of two settings says that they are equal. A flag, off by default, mends this
# (`litellm.enable_caching_on_provider_specific_optional_params`), but not for `api_base`: two servers that give their models the same name
# share their vectors even then.
# LangChain's `CacheBackedEmbeddings` with `query_embedding_cache=True` keeps both kinds in one place, too; a store of its own for
# questions keeps them apart; its documentation offers both without a word on which models bear it.
#
# For a RAG user: titles, FAQs and questions that were cached first stand in the index as questions, and whoever measures `input_type`
# through the cache learns that it does nothing. Upstream: litellm 42400, open since September 2026, speaks of chat (Ollama's `num_ctx`);
# LlamaIndex has a mend of the like of LangChain's under way (23181, September 2026).
#
# Fails if that changes. Linux or macOS with python3; some 150 MB to fetch, 480 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check litellm==1.110.2 langchain-classic==1.0.8
LITELLM_LOCAL_MODEL_COST_MAP=True "$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import litellm
from langchain_classic.embeddings import CacheBackedEmbeddings
from langchain_core.embeddings import Embeddings
from langchain_core.stores import InMemoryByteStore
from litellm.caching.caching import Cache

DOCUMENT, QUESTION, OTHER = [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]
asked = []


class Provider(BaseHTTPRequestHandler):
    """One vector for documents, another for questions, a third for all on the second server."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked.append(self.path)
        kind = body.get("input_type") or body.get("task") or ""
        vector = OTHER if self.path.startswith("/second") else DOCUMENT if kind.endswith(("document", "passage")) else QUESTION
        texts = body.get("texts") or body["input"]
        if self.path.endswith("/embed"):
            billed = {"billed_units": {"input_tokens": 3}}
            answer = {"id": "1", "texts": texts, "embeddings": {"float": [vector] * len(texts)}, "meta": billed}
        else:
            data = [{"object": "embedding", "index": i, "embedding": vector} for i in range(len(texts))]
            answer = {"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}}
        answer = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
cohere = {"model": "cohere/embed-v4.0", "api_base": f"{url}/v2/embed"}
voyage = {"model": "voyage/voyage-3.5", "api_base": url}
jina = {"model": "jina_ai/jina-embeddings-v3", "api_base": url}
openai = {"model": "openai/m"}
two_ways = {
    "Cohere": ({**cohere, "input_type": "search_document"}, {**cohere, "input_type": "search_query"}),
    "Voyage": ({**voyage, "input_type": "document"}, {**voyage, "input_type": "query"}),
    "Jina": ({**jina, "task": "retrieval.passage"}, {**jina, "task": "retrieval.query"}),
    "another server": ({**openai, "api_base": f"{url}/first"}, {**openai, "api_base": f"{url}/second"}),
}


async def embed(settings):
    """The vector of one text, and how often the provider was asked for it."""
    asked.clear()
    answer = await litellm.aembedding(input=["如何轮换密钥？"], api_key="k", **settings)
    await asyncio.sleep(0.3)  # the cache is written beside
    return answer.data[0]["embedding"], len(asked)


async def through_litellm():
    seen = {}
    for with_all in (False, True):
        litellm.enable_caching_on_provider_specific_optional_params = with_all
        for name, settings in two_ways.items():
            litellm.cache = Cache(type="local")
            seen[name, with_all] = [await embed(each) for each in settings]
            print(f"{name:15} {'all parameters' if with_all else 'by default':15} {seen[name, with_all]}")
    return seen


assert litellm.enable_caching_on_provider_specific_optional_params is False, "the default has changed"
seen = asyncio.run(through_litellm())
apart, mixed = [(DOCUMENT, 1), (QUESTION, 1)], [(DOCUMENT, 1), (DOCUMENT, 0)]
for name in ("Cohere", "Voyage", "Jina"):
    assert seen[name, False] == mixed and seen[name, True] == apart, f"{name} has changed"
assert seen["another server", False] == seen["another server", True] == [(QUESTION, 1), (QUESTION, 0)], "servers have changed"


class Model(Embeddings):
    def embed_documents(self, texts):
        return [DOCUMENT] * len(texts)

    def embed_query(self, text):
        return QUESTION


def through_langchain(cache):
    embedder = CacheBackedEmbeddings.from_bytes_store(
        Model(), InMemoryByteStore(), namespace="m", query_embedding_cache=cache, key_encoder="sha256",
    )
    documents = embedder.embed_documents(["one"])
    return [documents[0], embedder.embed_query("one"), embedder.embed_query("two"), embedder.embed_documents(["two"])[0]]


seen = {"one store": through_langchain(True), "two stores": through_langchain(InMemoryByteStore())}
print("LangChain:", seen)
assert seen == {
    "one store": [DOCUMENT, DOCUMENT, QUESTION, QUESTION], "two stores": [DOCUMENT, QUESTION, QUESTION, DOCUMENT],
}, "LangChain has changed"
print("as described")
PYTHON
