#!/usr/bin/env bash
# langchain-community 0.4.2 (BM25Retriever, over rank-bm25 0.2.2) with langchain-classic 1.0.8 (EnsembleRetriever);
# llama-index-retrievers-bm25 0.8.0 (over bm25s 0.3.16) with llama-index-core 0.14.25 (QueryFusionRetriever).
#
# A hybrid search asks by words and by meaning and fuses the two rankings by place (reciprocal rank fusion). What has no word of the
# question is not found by words; a ranking that finds nothing should be empty, and the other one decide.
#
# Seen: both retrievers fill their ranking up to k with passages of score zero, those from the end of the corpus, the last one first. The
# fusion sees places only, and what stands in both rankings comes first: here two passages that the vectors have last, about invoices among
# them, are the first sources; the last passage of the corpus is the third, and the best one by meaning the fourth of four. LangChain's
# retriever gives no scores by which one could drop what was not found; LlamaIndex's says 0.0.
#
# This is each question in words that the documents do not use, each in another language, and with the default tokenizers, which take a
# Chinese sentence for one word, each Chinese one. A hybrid search then answers worse than the vectors alone, with the same stray passages
# for everybody. Haystack has dropped what has no score since 2023 (haystack 5982); of these two no issue speaks as of November 2026.
#
# Fails if that changes. Linux or macOS with python3; some 130 MB to fetch, 500 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check langchain-community==0.4.2 langchain-classic==1.0.8 rank-bm25==0.2.2 \
  llama-index-retrievers-bm25==0.8.0 llama-index-core==0.14.25 bm25s==0.3.16
LANGCHAIN_TRACING_V2=false "$folder/venv/bin/python" - 2>"$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
from langchain_classic.retrievers import EnsembleRetriever
from langchain_community.retrievers import BM25Retriever
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever as LangChainRetriever
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import BaseRetriever, QueryFusionRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.retrievers.bm25 import BM25Retriever as LlamaBM25Retriever

PASSAGES = [
    "签名密钥每九十天轮换一次，旧密钥再保留一周。",
    "Signing keys are rotated every ninety days.",
    "备份之后才可以删除旧的密钥。",
    "Invoices are paid within two weeks.",
    "The canteen is closed on Fridays.",
    "食堂星期五不开门。",
]
BY_MEANING = [0, 1, 2, 3]  # what a good embedding model finds for the questions below, best first
QUESTIONS = {"Chinese": "怎样更换签名密钥？", "other words": "When do certificates expire?"}
WITH_WORDS = "rotated keys"  # two of the second passage's


class ByMeaning(LangChainRetriever):
    def _get_relevant_documents(self, query, *, run_manager):
        return [Document(PASSAGES[i]) for i in BY_MEANING]


class LlamaByMeaning(BaseRetriever):
    def _retrieve(self, query_bundle):
        return [NodeWithScore(node=nodes[i], score=1.0 - i / 10) for i in BY_MEANING]


nodes = [TextNode(id_=str(i), text=text) for i, text in enumerate(PASSAGES)]
langchain = BM25Retriever.from_texts(PASSAGES, k=4)
llama = LlamaBM25Retriever.from_defaults(nodes=nodes, similarity_top_k=4)
both = EnsembleRetriever(retrievers=[langchain, ByMeaning()], weights=[0.5, 0.5])
fused = QueryFusionRetriever(
    [llama, LlamaByMeaning()], mode="reciprocal_rerank", num_queries=1, similarity_top_k=4, use_async=False, llm=MockLLM(),
)
places = lambda documents: [PASSAGES.index(document.page_content) for document in documents]
for name, question in QUESTIONS.items():
    by_words = places(langchain.invoke(question))
    ensemble = places(both.invoke(question))[:4]
    print(f"LangChain,  {name:12} by words: {by_words}, by meaning: {BY_MEANING}, fused: {ensemble}")
    assert by_words == [5, 4, 3, 2] and ensemble == [3, 2, 5, 0], "LangChain has changed"
    by_words = [(int(hit.node_id), hit.score) for hit in llama.retrieve(question)]
    fusion = [int(hit.node_id) for hit in fused.retrieve(question)]
    print(f"LlamaIndex, {name:12} by words: {by_words}, fused: {fusion}")
    assert by_words == [(5, 0.0), (4, 0.0), (3, 0.0), (2, 0.0)] and fusion == [3, 2, 5, 0], "LlamaIndex has changed"
assert places(langchain.invoke(WITH_WORDS))[0] == 1 and llama.retrieve(WITH_WORDS)[0].node_id == "1", "words are not found any more"
print("as described")
PYTHON
