#!/usr/bin/env bash
# langchain-openai 1.7.4, langchain-anthropic 1.7.10, langchain-core 1.8.3; openai 3.57.0, anthropic 2.14.0.
#
# A streamed answer says when it is whole: OpenAI's last chunk has a `finish_reason`, and `[DONE]` follows; Anthropic's stream ends with a
# `stop_reason` and `message_stop`. A provider, or a proxy before it, that shuts down or reaches its own time limit closes the response
# cleanly in between; for HTTP it is complete. That the SDKs then end the loop without an error is known (pydantic-ai 6610 has the
# reasons). But a cache of answers should keep whole ones: what was cut short says so by what it lacks, and is cheap to ask again.
#
# Seen: with `streaming=True` and a cache, `invoke` returns the half, with neither `finish_reason` nor `stop_reason` nor usage, raises
# nothing, and the cache keeps it. The provider is well again and is not asked: each later call has the same half, until the entry is
# removed by hand. The same call without streaming raises, and keeps nothing.
#
# For a RAG user that is an answer cut before its sources ("You may delete the key" without "after the backup"), the same for everybody
# who asks, for as long as the cache lives, and with no line in a log.
#
# Fails if that changes. Linux or macOS with python3; some 120 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  langchain-openai==1.7.4 langchain-anthropic==1.7.10 langchain-core==1.8.3 openai==3.57.0 anthropic==2.14.0
LANGCHAIN_TRACING_V2=false "$folder/venv/bin/python" - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from langchain_anthropic import ChatAnthropic
from langchain_core.caches import InMemoryCache
from langchain_openai import ChatOpenAI

WHOLE = ["You may delete ", "the key", " after the backup.", " [1]"]
HALF = "".join(WHOLE[:2])
asked = {"stream": 0, "whole": 0}
failing = True


def openai_events(words):
    chunk = lambda delta, reason=None: "data: " + json.dumps({
        "id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
    }) + "\n\n"
    yield from (chunk({"role": "assistant", "content": word}) for word in words)
    yield chunk({}, "stop") + "data: [DONE]\n\n"


def anthropic_events(words):
    event = lambda kind, **more: f"event: {kind}\ndata: " + json.dumps({"type": kind, **more}) + "\n\n"
    message = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "m", "stop_reason": None, "stop_sequence": None}
    yield (
        event("message_start", message={**message, "usage": {"input_tokens": 9, "output_tokens": 1}})
        + event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    )
    yield from (event("content_block_delta", index=0, delta={"type": "text_delta", "text": word}) for word in words)
    yield (
        event("content_block_stop", index=0)
        + event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 9})
        + event("message_stop")
    )


class Provider(BaseHTTPRequestHandler):
    """While it is `failing`, a stream ends in the middle, and what is not a stream breaks off before its announced length."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.close_connection = True
        self.send_response(200)
        self.send_header("connection", "close")
        if not body.get("stream"):
            asked["whole"] += 1
            self.send_header("content-type", "application/json")
            self.send_header("content-length", "500")
            self.end_headers()
            self.wfile.write(b'{"id": "1", ')
            return
        asked["stream"] += 1
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        is_openai = self.path.endswith("/chat/completions")
        events = list((openai_events if is_openai else anthropic_events)(WHOLE))
        for event in events[: 2 if is_openai else 3] if failing else events:
            self.wfile.write(event.encode())


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
models = {
    "openai": lambda **more: ChatOpenAI(model="m", api_key="k", base_url=url, max_retries=0, **more),
    "anthropic": lambda **more: ChatAnthropic(model="m", api_key="k", base_url=url, max_tokens=50, max_retries=0, **more),
}
for name, model in models.items():
    cache = InMemoryCache()
    streamed = model(streaming=True, cache=cache)
    asked.update(stream=0, whole=0)
    failing = True
    first = streamed.invoke("May I delete the key?")
    failing = False
    later = [streamed.invoke("May I delete the key?") for _ in range(2)]
    fresh = model(streaming=True, cache=InMemoryCache()).invoke("May I delete the key?")
    reasons = [answer.response_metadata.get("finish_reason") or answer.response_metadata.get("stop_reason") for answer in (first, fresh)]
    print(f"{name}: {first.content!r} ({reasons[0]}), later {[answer.content for answer in later]}, asked {asked['stream'] - 1} time;")
    print(f"    a fresh cache: {fresh.content!r} ({reasons[1]})")
    assert [answer.content for answer in (first, *later)] == [HALF] * 3 and asked["stream"] == 2, "it has changed"
    assert reasons[0] is None and fresh.content == "".join(WHOLE) and reasons[1] in ("stop", "end_turn"), "the end has changed"

    failing = True
    raised = []
    for _ in range(2):
        try:
            model(cache=cache).invoke("May I delete the key?")
        except Exception as error:  # each SDK has its own
            raised.append(type(error).__name__)
    print(f"    not streamed: {raised}, asked {asked['whole']} times")
    assert len(raised) == 2 and asked["whole"] == 2, "what is not streamed has changed"
print("as described")
PYTHON
