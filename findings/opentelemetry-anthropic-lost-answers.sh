#!/usr/bin/env bash
# opentelemetry-instrumentation-anthropic 0.62.4 (OpenLLMetry) and, beside it, opentelemetry-instrumentation-genai-anthropic 1.3b0
# (OpenTelemetry's own); anthropic 2.14.0, opentelemetry-sdk 1.45.2.
#
# Who instruments a chat over documents wants to know what each answer cost. Anthropic tells the tokens of the question, cached ones
# among them, in the first event of a stream, so that they are known whatever becomes of the answer. An answer that a reader leaves, or
# that is cancelled with its task, should be a shorter span; one that is read to its end in a `with` block, which closes the connection
# whatever happens, a span like any other.
#
# Seen: of OpenLLMetry's, none of these comes. `with client.messages.create(stream=True) as stream` makes no span even when it is read to
# its end; `messages.stream()` makes one only then. What is left early or cancelled is nowhere: no span, no error, not the 1,025 input
# tokens that were billed. Where a span comes, its output tokens are those of the first event and of the last together, though the last
# tells the sum. OpenTelemetry's own instrumentation has a span each time, with the tokens as told.
#
# For a RAG user the long prompts are the bill, and the answers that are stopped after a few words the ones to look at: both are missing
# without a gap to be seen. OpenLLMetry has mended the like for OpenAI (openllmetry 3151, July 2025), openlit for both (1454, 1461, August
# 2026); of Anthropic under OpenLLMetry no issue speaks as of November 2026.
#
# Fails if that changes. Linux or macOS with python3; some 90 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/ask.py" <<'PYTHON'
import asyncio
import gc
import json
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

WORDS = 20
USAGE = {"input_tokens": 25, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 0, "output_tokens": 1}
MESSAGE = {"id": "1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None, "stop_sequence": None}


class Provider(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def event(self, kind, **more):
        self.wfile.write(f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode())
        self.wfile.flush()

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        with suppress(OSError):  # who asked has gone
            self.event("message_start", message={**MESSAGE, "usage": USAGE})
            self.event("content_block_start", index=0, content_block={"type": "text", "text": ""})
            for _ in range(WORDS):
                self.event("content_block_delta", index=0, delta={"type": "text_delta", "text": "word "})
                time.sleep(0.05)
            self.event("content_block_stop", index=0)
            self.event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": WORDS})
            self.event("message_stop")


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
spans = InMemorySpanExporter()
tracing = TracerProvider()
tracing.add_span_processor(SimpleSpanProcessor(spans))
if sys.argv[1] == "openllmetry":
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
else:
    from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
AnthropicInstrumentor().instrument(tracer_provider=tracing)

settings = {"api_key": "k", "base_url": f"http://127.0.0.1:{server.server_port}", "max_retries": 0}
question = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "?"}]}


def read(stream, most):
    for count, _ in enumerate(stream, 1):
        if count == most:
            return


def create(most):
    with anthropic.Anthropic(**settings).messages.create(stream=True, **question) as stream:
        read(stream, most)


def stream(most):
    with anthropic.Anthropic(**settings).messages.stream(**question) as stream:
        read(stream.text_stream, most)


def cancelled(_):
    started = asyncio.Event()

    async def ask():
        async with anthropic.AsyncAnthropic(**settings).messages.stream(**question) as stream:
            async for _ in stream.text_stream:
                started.set()

    async def leave():
        task = asyncio.create_task(ask())
        await started.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(leave())


seen = {}
for name, ask, most in [
    ("create, whole", create, None), ("create, left", create, 5), ("stream, whole", stream, None), ("stream, left", stream, 3),
    ("stream, cancelled", cancelled, None),
]:
    spans.clear()
    ask(most)
    gc.collect()
    seen[name] = [[s.attributes.get(f"gen_ai.usage.{kind}_tokens") for kind in ("input", "output")] for s in spans.get_finished_spans()]
print(json.dumps(seen))
PYTHON
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check anthropic==2.14.0 opentelemetry-sdk==1.45.2 \
  opentelemetry-instrumentation-anthropic==0.62.4 opentelemetry-instrumentation-genai-anthropic==1.3b0
for name in openllmetry own; do
  "$folder/venv/bin/python" "$folder/ask.py" $name >"$folder/$name.json" 2>"$folder/$name.log" || { cat "$folder/$name.log"; exit 1; }
done
python3 - "$folder" <<'PYTHON'
import json
import sys
from pathlib import Path

openllmetry, own = (json.loads((Path(sys.argv[1]) / f"{name}.json").read_text()) for name in ("openllmetry", "own"))
print("input and output tokens of each span")
for case in own:
    print(f"  {case:18} OpenLLMetry: {openllmetry[case]}  OpenTelemetry's own: {own[case]}")
whole, begun = [[1025, 20]], [[1025, 1]]
assert own == {
    "create, whole": whole, "create, left": begun, "stream, whole": whole, "stream, left": begun, "stream, cancelled": begun,
}, "OpenTelemetry's own has changed"
assert openllmetry == {
    "create, whole": [], "create, left": [], "stream, whole": [[1025, 21]], "stream, left": [], "stream, cancelled": [],
}, "it has changed"
print("as described")
PYTHON
