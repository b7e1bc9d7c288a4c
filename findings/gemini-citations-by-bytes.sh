#!/usr/bin/env bash
# langchain-google-genai 4.4.3 (langchain-core 1.8.3, google-genai 3.3.0) and litellm 1.110.2.
#
# Gemini grounds an answer in pages that it searched, or in a store of one's own files, and tells which part of the answer rests on which
# source: `startIndex` and `endIndex`, in bytes of UTF-8, as its reference says. As a zero, `startIndex` is left out, as in Google's own
# examples. Libraries that speak to many providers give these in one shape: LangChain as `Citation`, whose places are those in the text,
# LiteLLM as OpenAI's `url_citation`, whose places are characters. So text[start:end] should be the sentence.
#
# Seen: both hand the bytes on as they are. In a Chinese answer (three bytes a character) what is said to be cited is another sentence, or
# nothing, as the end of the text is passed: a mark after each citation stands in the middle of a later one, or all marks at the end. One
# "é", "°" or typographic quote before is enough to move it. LangChain keeps the cited text beside it, which is right; LiteLLM does not.
# LiteLLM leaves out a citation without `startIndex`: the sentence that an answer begins with, most often the answer itself, has no source,
# in English, too. Of a store of one's own files (File Search, where a chunk is a `retrievedContext` and no `web`) LiteLLM tells no citation
# at all, and LangChain citations that name no file. Nothing is logged. The SDK has all of it, and the text by its bytes is right.
#
# For a RAG user each figure has its source on the page, and it is the wrong one. Upstream: Google's own command line had it twice, mended
# in one place and not in the other (gemini-cli 29039, open since August 2026); of LangChain and LiteLLM no issue was found as of November
# 2026 (litellm 41492 is about streamed answers without any).
#
# Fails if that changes. Linux or macOS with python3; some 120 MB to fetch, 450 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  langchain-google-genai==4.4.3 langchain-core==1.8.3 google-genai==3.3.0 litellm==1.110.2
export LANGCHAIN_TRACING_V2=false LITELLM_LOCAL_MODEL_COST_MAP=True
"$folder/venv/bin/python" - 2>"$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import litellm
from google import genai
from langchain_google_genai import ChatGoogleGenerativeAI

ANSWERS = {
    "Chinese": ["签名密钥每九十天轮换一次。", "旧密钥再保留一周。", "Backups are kept for a year."],
    "accented": ["The café closes at 18:00. ", "It is 20° inside. ", "Dogs may come in."],
    "ASCII": ["Keys are rotated. ", "Old keys are kept for a week. ", "Backups are kept for a year."],
}


FILES = ["Keys are rotated. ", "Old keys are kept for a week. "]  # of a store of one's own files


def answer(sentences):
    supports, place = [], 0
    for source, sentence in enumerate(sentences):
        end = place + len(sentence.encode())
        segment = {"endIndex": end, "text": sentence} | ({"startIndex": place} if place else {})
        supports.append({"segment": segment, "groundingChunkIndices": [source]})
        place = end
    page = lambda i: {"web": {"uri": f"https://example.org/{i}", "title": f"page {i}"}}
    file = lambda i: {"retrievedContext": {"title": f"{i}.md", "text": sentences[i], "fileSearchStore": "fileSearchStores/keys"}}
    sources = [(file if sentences is FILES else page)(i) for i in range(len(sentences))]
    content = {"role": "model", "parts": [{"text": "".join(sentences)}]}
    grounding = {"webSearchQueries": ["?"], "groundingChunks": sources, "groundingSupports": supports}
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 30, "totalTokenCount": 39}
    return {"candidates": [{"content": content, "finishReason": "STOP", "groundingMetadata": grounding}], "usageMetadata": usage}


class Provider(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(answer(sentences)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
source = lambda uri: int(uri.rpartition("/")[2])


def by_sdk():
    client = genai.Client(api_key="k", http_options=genai.types.HttpOptions(base_url=url))
    told = client.models.generate_content(model="gemini-3-flash", contents="?")
    text, metadata = told.text.encode(), told.candidates[0].grounding_metadata
    supports = [(support.grounding_chunk_indices[0], support.segment) for support in metadata.grounding_supports]
    return {i: text[segment.start_index or 0 : segment.end_index].decode() for i, segment in supports}


def citations_of_langchain():
    told = ChatGoogleGenerativeAI(model="gemini-3-flash", api_key="k", base_url=url).invoke("?")
    (block,) = (block for block in told.content_blocks if block["type"] == "text")
    return block["text"], block["annotations"]


def by_langchain():
    text, citations = citations_of_langchain()
    return {source(c["url"]): text[c.get("start_index") or 0 : c["end_index"]] for c in citations}


def citations_of_litellm():
    told = litellm.completion(model="gemini/gemini-3-flash", api_key="k", api_base=url, messages=[{"role": "user", "content": "?"}])
    message = told.choices[0].message
    return message.content, [annotation["url_citation"] for annotation in getattr(message, "annotations", None) or []]


def by_litellm():
    text, citations = citations_of_litellm()
    return {source(c["url"]): text[c["start_index"] : c["end_index"]] for c in citations}


seen = {}
for name, sentences in ANSWERS.items():
    for library, ask in (("SDK, by bytes", by_sdk), ("LangChain", by_langchain), ("LiteLLM", by_litellm)):
        seen[name, library] = ask()
        print(f"{name:9} {library:14} {seen[name, library]}")
for name, sentences in ANSWERS.items():
    whole, text = dict(enumerate(sentences)), "".join(sentences)
    moved, place = {}, 0
    for i, sentence in enumerate(sentences):
        moved[i] = text[place : place + len(sentence.encode())]
        place += len(sentence.encode())
    assert seen[name, "SDK, by bytes"] == whole, "the SDK has changed"
    assert seen[name, "LangChain"] == moved, "LangChain has changed"
    assert seen[name, "LiteLLM"] == {i: sentence for i, sentence in moved.items() if i}, "LiteLLM has changed"
    assert (moved == whole) == (name == "ASCII")

sentences = FILES
client = genai.Client(api_key="k", http_options=genai.types.HttpOptions(base_url=url))
metadata = client.models.generate_content(model="gemini-3-flash", contents="?").candidates[0].grounding_metadata
by_name = {
    "SDK": [chunk.retrieved_context.title for chunk in metadata.grounding_chunks],
    "LangChain": [(c.get("title"), c.get("url")) for c in citations_of_langchain()[1]],
    "LiteLLM": citations_of_litellm()[1],
}
print(f"own files {by_name}")
assert by_name == {"SDK": ["0.md", "1.md"], "LangChain": [(None, None)] * 2, "LiteLLM": []}, "own files have changed"
print("as described")
PYTHON
