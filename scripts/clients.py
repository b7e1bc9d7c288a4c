"""The work of scripts/clients: a stand-in for the model, a service over three documents, and the clients one after the other."""

import contextlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

TOKEN = "a-token-of-16-letters"
SAID = "Every 90 days [1], in Chinese: 密钥 [1][2]."
DOCUMENTS = {
    "keys.md": "# Keys\n\nKeys are rotated every 90 days by the operators.\n",
    "backups.md": "# Backups\n\nBackups are made every night and kept for a year.\n",
    "密钥.md": "# 密钥\n\n密钥每 90 天轮换一次。\n",
}


class Provider(http.server.BaseHTTPRequestHandler):
    """Plays the model: it stalls, breaks off or refuses where the question says so. GET says how many requests it answers now."""

    answering = 0
    lock = threading.Lock()

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(Provider.answering).encode())

    def do_POST(self):
        with Provider.lock:
            Provider.answering += 1
        try:
            self.answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        except OSError:
            pass
        finally:
            with Provider.lock:
                Provider.answering -= 1

    def answer(self, body):
        asked = body["messages"][-1]["content"]
        if "refuse" in asked:
            self.send_response(401)
            self.end_headers()
            self.wfile.write(b'{"error": {"message": "no such key"}}')
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.delta({"content": "Every 90 days "} if "stall" in asked or "break off" in asked else {"reasoning_content": f"Hm. {body['model']}"})
        if "stall" in asked:
            # Ends when the other end does.
            self.rfile.read(1)
        if "stall" in asked or "break off" in asked:
            return
        for text in ["Every 90 days ", "[1]", ", in Chinese: 密", "钥 [1]", "[2]."]:
            self.delta({"content": text})
        self.delta({}, "stop")
        self.send({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}})
        self.wfile.write(b"data: [DONE]\n\n")

    def delta(self, delta, finish=None):
        self.send({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def send(self, chunk):
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(program, scratch):
    """A service over the documents whose answers the stand-in writes: its address, and the stand-in's."""
    provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    provider.daemon_threads = True
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    model = f"http://127.0.0.1:{provider.server_address[1]}"

    project = scratch / "project"
    (project / "docs").mkdir(parents=True)
    for name, text in DOCUMENTS.items():
        (project / "docs" / name).write_text(text)
    (project / "docs.yaml").write_text(
        f'version: 1\nname: docs\nproviders:\n  api: {{ kind: openai, base_url: "{model}", api_key: "${{KEY}}" }}\n'
        "sources: [{ files: { paths: [docs] } }]\nquery: { answer: { model: api/m } }\n"
    )
    environment = {**os.environ, "KEY": "k"}
    subprocess.run([program, "ingest", "-p", "docs.yaml", "-q"], cwd=project, env=environment, check=True)
    serve = [program, "serve", "-p", "docs.yaml", "--json", "--listen", "127.0.0.1:0", "--token", TOKEN]
    service = subprocess.Popen(serve, cwd=project, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield json.loads(service.stdout.readline())["url"] + "/v1", model
    finally:
        service.terminate()
        service.wait()


def main():
    program, scratch, node = sys.argv[1:]
    here, scratch = pathlib.Path(__file__).parent, pathlib.Path(scratch)
    failed = []
    with serving(program, scratch) as (url, model):
        llm(scratch, url)
        for name, command in clients(here, scratch, node, url, model).items():
            began = time.monotonic()
            ran = subprocess.run(command, env={**os.environ, "NO_PROXY": "127.0.0.1"}, check=False)
            print(f"{'ok' if ran.returncode == 0 else 'FAILED'}  {name} ({time.monotonic() - began:.1f} s)", flush=True)
            if ran.returncode:
                failed.append(name)
    sys.exit(f"error: {', '.join(failed)}" if failed else 0)


def clients(here, scratch, node, url, model):
    python = scratch / "python/bin/python"
    return {
        "openai (Python)": [python, here / "../tests/it/serve_v1/client.py", url, model],
        "llm": [python, __file__, "llm", scratch],
        "openai (Node)": [node, scratch / "node/clients.mjs", "openai", url, TOKEN, SAID],
        "AI SDK, openai: responses": [node, scratch / "node/clients.mjs", "responses", url, TOKEN, SAID],
        "AI SDK, openai: chat": [node, scratch / "node/clients.mjs", "chat", url, TOKEN, SAID],
        "AI SDK, openai-compatible": [node, scratch / "node/clients.mjs", "compatible", url, TOKEN, SAID],
        "AI SDK, perplexity": [node, scratch / "node/clients.mjs", "perplexity", url, TOKEN, SAID],
    }


def llm(scratch, url):
    """What `llm` reads of its models."""
    (scratch / "llm").mkdir()
    models = "".join(
        f"- model_id: {name}\n  model_name: {name}\n  api_base: {url}\n  api_key_name: ragstream\n" for name in ["docs", "docs+sources"]
    )
    (scratch / "llm/extra-openai-models.yaml").write_text(models)
    (scratch / "llm/keys.json").write_text(json.dumps({"ragstream": TOKEN}))


def ask_llm(scratch):
    """Asks by `llm`, in one piece and as it is written."""
    environment = {**os.environ, "LLM_USER_PATH": f"{scratch}/llm"}

    def said(*arguments):
        command = [f"{scratch}/python/bin/llm", "-n", *arguments, "How often are keys rotated?"]
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.rstrip("\n")

    assert said("-m", "docs") == SAID
    assert said("-m", "docs", "--no-stream", "-s", "Be brief.") == SAID
    listed = said("-m", "docs+sources")
    assert listed.startswith(f"{SAID}\n\nSources:\n\n- [1] Keys, docs/keys.md 1–3: http://127.0.0.1:"), listed


if __name__ == "__main__":
    ask_llm(sys.argv[2]) if sys.argv[1] == "llm" else main()
