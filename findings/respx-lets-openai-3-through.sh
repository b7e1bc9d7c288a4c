#!/usr/bin/env bash
# respx 0.23.1; openai 3.57.0, anthropic 2.14.0, mistralai 3.7.0, httpx 0.28.1, httpx2 as they bring it.
#
# `respx.mock` is how many RAG projects test without paying: within it no request of httpx leaves the process, and one that no route
# matches raises (`assert_all_mocked`, on by default). Whoever updates an SDK should at worst see tests fail that the guard stopped.
#
# Seen: openai 3, anthropic 2 and mistralai 3 have moved to httpx2, a fork with other module names, which respx does not patch. Within
# `respx.mock` their requests go out, key and all, are answered by the real service, and are paid for; the guard raises nothing, with
# routes that match and without. With `assert_all_called=False`, as fixtures have it that many tests share, a test of "embeds and indexes"
# passes as before. httpx itself is still stopped.
#
# OpenAI's migration guide says that mocks must be looked at; openinference 3576 met it in August 2026, as it had no valid key. For a
# suite that runs with a key in its environment the bill is the first sign. A stand-in that listens on a port of its own, with the SDK's
# `base_url` at it and no real key, needs nobody's patch.
#
# Fails if that changes. Linux or macOS with python3; some 90 MB in a temporary folder. The "real service" is a server of the script's own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  respx==0.23.1 httpx==0.28.1 openai==3.57.0 anthropic==2.14.0 mistralai==3.7.0
"$folder/venv/bin/python" - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
import httpx
import openai
import respx
from mistralai.client import Mistral

VECTORS = {
    "object": "list", "model": "m", "id": "1", "usage": {"prompt_tokens": 1, "total_tokens": 1},
    "data": [{"object": "embedding", "index": 0, "embedding": [1.0]}],
}
MESSAGE = {
    "id": "1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "paid for"}],
    "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
}
reached = []


class Service(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        reached.append(self.headers.get("authorization") or self.headers.get("x-api-key"))
        body = json.dumps(MESSAGE if self.path.endswith("/messages") else VECTORS).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
questions = {
    "httpx": lambda: httpx.post(f"{url}/embeddings", json={}, headers={"authorization": "key"}),
    "openai": lambda: openai.OpenAI(api_key="key", base_url=url, max_retries=0).embeddings.create(model="m", input=["a"]),
    "anthropic": lambda: anthropic.Anthropic(api_key="key", base_url=url, max_retries=0).messages.create(
        model="m", max_tokens=9, messages=[{"role": "user", "content": "a"}]
    ),
    "mistralai": lambda: Mistral(api_key="key", server_url=url).embeddings.create(model="m", inputs=["a"]),
}
seen = {}
for name, ask in questions.items():
    reached.clear()
    with respx.mock(assert_all_called=False) as router:
        router.post(url__regex=".*").respond(json=VECTORS)
        ask()
        matched = router.calls.call_count
    with_route = len(reached)
    reached.clear()
    try:
        with respx.mock:
            ask()
        stopped = False
    except AssertionError:
        stopped = True
    without = "stopped" if stopped else len(reached)
    seen[name] = {"the route answered": matched, "reached the service": with_route, "without a route": without}
    print(f"{name:10}", seen[name], "with the key" if any("key" in key for key in reached) else "")
kept = {"the route answered": 1, "reached the service": 0, "without a route": "stopped"}
through = {"the route answered": 0, "reached the service": 1, "without a route": 1}
assert seen == {"httpx": kept, "openai": through, "anthropic": through, "mistralai": through}, "it has changed"
print("as described")
PYTHON
