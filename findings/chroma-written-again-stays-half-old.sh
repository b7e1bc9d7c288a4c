#!/usr/bin/env bash
# chromadb 1.5.9 under langchain-chroma 1.1.0, llama-index-vector-stores-chroma 0.6.0 (llama-index-core 0.14.25) and chroma-haystack 5.0.0
# (haystack-ai 3.4.1).
#
# Whoever keeps an index up to date gives passages ids of their own and writes a passage that has changed once more. Each of the three has a
# way of its own to say that: LangChain's `add_documents` with ids, LlamaIndex's `add` of a node with the id, Haystack's `write_documents` with
# `DuplicatePolicy.OVERWRITE`. What is there afterwards should be what was written last: in each of their own stores in memory it is.
#
# Seen over Chroma, with no error and nothing logged:
# - LangChain and Haystack: the text and the vector are new, and of the metadata each key that the new passage does not have stays as it was. A
#   draft that was published, by writing it without `status`, is still a draft: a filter for drafts finds the published text, and one that
#   leaves drafts out does not. Empty metadata leave all of the old. Chroma's `upsert` merges, and takes a key away only where it is written as
#   None.
# - LlamaIndex: nothing is written. The old text, vector and metadata stay, and `add` gives the id back as if it had been; Chroma's `add`
#   passes over ids that it has.
# To delete the id before mends all three: the script shows it.
#
# For a RAG user who moves from a store in memory to Chroma, passages that were withdrawn, approved or moved keep the old mark beside the new
# text; with LlamaIndex the index answers with the text of the first day. Upstream: chroma 1630 (2024) asked how to be rid of a key; of what
# becomes of it under these three no issue was found as of November 2026.
#
# Fails if that changes. Linux or macOS with python3; some 190 MB to fetch, 750 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check chromadb==1.5.9 langchain-chroma==1.1.0 \
  llama-index-vector-stores-chroma==0.6.0 llama-index-core==0.14.25 chroma-haystack==5.0.0 haystack-ai==3.4.1
HAYSTACK_TELEMETRY_ENABLED=False ANONYMIZED_TELEMETRY=False "$folder/venv/bin/python" - <<'PYTHON'
import chromadb
from haystack import Document as HaystackDocument
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DuplicatePolicy
from haystack_integrations.document_stores.chroma import ChromaDocumentStore
from langchain_chroma import Chroma
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import SimpleVectorStore, VectorStoreQuery
from llama_index.vector_stores.chroma import ChromaVectorStore

OLD, NEW = ("Keys are kept for a year.", {"status": "draft", "page": 1}), ("Keys are kept for a week.", {"page": 2})
ID = "passage"


class Model(Embeddings):
    def embed_documents(self, texts):
        return [[1.0, 0.0] if text == OLD[0] else [0.0, 1.0] for text in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


vector = Model().embed_query
client = chromadb.EphemeralClient()
names = iter(f"collection-{i}" for i in range(99))


def langchain(store, *writes):
    for write in writes:
        store.delete([ID]) if write is None else store.add_documents([Document(write[0], metadata=dict(write[1]), id=ID)])
    return [(hit.page_content, hit.metadata) for hit in store.similarity_search(NEW[0], k=9)]


def haystack(store, *writes):
    for write in writes:
        if write is None:
            store.delete_documents([ID])
            continue
        document = HaystackDocument(id=ID, content=write[0], meta=dict(write[1]), embedding=vector(write[0]))
        store.write_documents([document], policy=DuplicatePolicy.OVERWRITE)
    return [(document.content, document.meta) for document in store.filter_documents()]


def llama_index(store, *writes):
    for write in writes:
        node = write and TextNode(id_=ID, text=write[0], metadata=dict(write[1]), embedding=vector(write[0]))
        store.delete_nodes([ID]) if node is None else store.add([node])
    return [(node.text, node.metadata) for node in store.query(VectorStoreQuery(query_embedding=vector(NEW[0]), similarity_top_k=9)).nodes]


def llama_collection():
    return ChromaVectorStore(chroma_collection=client.create_collection(next(names), embedding_function=None))


stores = {
    "LangChain": (langchain, lambda: Chroma(next(names), Model(), client=client), lambda: InMemoryVectorStore(Model())),
    "Haystack": (haystack, lambda: ChromaDocumentStore(collection_name=next(names)), InMemoryDocumentStore),
    "LlamaIndex": (llama_index, llama_collection, None),
}
seen = {}
for name, (ask, chroma, in_memory) in stores.items():
    seen[name] = {
        "written again": ask(chroma(), OLD, NEW), "without metadata": ask(chroma(), OLD, (NEW[0], {})),
        "deleted before": ask(chroma(), OLD, None, NEW),
        "in memory": ask(in_memory(), OLD, NEW) if in_memory else "",
    }
simple = SimpleVectorStore()
for text, _ in (OLD, NEW):
    simple.add([TextNode(id_=ID, text=text, embedding=vector(text))])
seen["LlamaIndex"]["in memory"] = [NEW] if simple.get(ID) == vector(NEW[0]) else [OLD]  # which keeps vectors alone
for name, answers in seen.items():
    for when, found in answers.items():
        print(f"{name:11} {when:17} {found}")
drafts = Chroma(next(names), Model(), client=client)
langchain(drafts, OLD, NEW)
kept = {str(where): len(drafts.similarity_search(NEW[0], filter=where)) for where in ({"status": "draft"}, {"status": {"$ne": "draft"}})}
print("LangChain, filters over what was published:", kept)
for name, answers in seen.items():
    assert answers["deleted before"] == answers["in memory"] == [NEW], f"{name}: the remedy, or the store in memory, has changed"
for name in ("LangChain", "Haystack"):
    assert seen[name]["written again"] == [(NEW[0], {"status": "draft", "page": 2})], f"{name}: it has changed"
    assert seen[name]["without metadata"] == [(NEW[0], OLD[1])], f"{name}: empty metadata have changed"
assert seen["LlamaIndex"]["written again"] == seen["LlamaIndex"]["without metadata"] == [OLD], "LlamaIndex: it has changed"
assert list(kept.values()) == [1, 0], "filters have changed"
print("as described")
PYTHON
