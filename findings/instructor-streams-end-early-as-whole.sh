#!/usr/bin/env bash
# instructor 1.17.0 with openai 3.3.0.
#
# Instructor asks a model for objects of a class: the facts of a document, an answer with its sources. A list that has become too long for the
# model's limit ends in the middle, and the provider says so (`finish_reason` is "length"; "content_filter" where it stopped by itself). For
# this there is `IncompleteOutputException`. `create_iterable` and `create_partial` give the same as they come; at the end the user should know
# as much as without the stream.
#
# Seen: without the stream what is cut raises. With it nothing is raised or logged, whatever the reason, and also where the stream ends without
# one:
# - `create_iterable` gives the objects that were whole and ends: of five facts three, and the loop is over, as it is after five.
# - The last object of `create_partial` is an `Answer` by its class, with half a sentence, and `None` for a list that must be there. A field
#   that is cut is not told from one that is whole: "You may delete the key" of "You may delete the key after the backup".
# So in the modes for tools and for JSON. A last field that the model sets when it is done (`done: bool`) tells a whole object: the script
# shows it.
#
# For a RAG user documents with many facts are indexed up to the limit, always the long ones, and answers lose their condition and their
# sources, which stand at the end. Without the stream it was mended in 2023 (instructor 279); of streams no issue was found as of November
# 2026.
#
# Fails if that changes. Linux or macOS with python3; some 60 MB to fetch, 110 MB in a temporary folder. The model is a server of the script's
# own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check instructor==1.17.0 openai==3.3.0
"$folder/venv/bin/python" - <<'PYTHON'
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import instructor
import openai
from instructor.core import IncompleteOutputException, InstructorRetryException
from pydantic import BaseModel


class Fact(BaseModel):
    text: str
    page: int


class Answer(BaseModel):
    answer: str
    sources: list[int]


class DoneAnswer(Answer):
    done: bool


FACTS = json.dumps({"tasks": [{"text": f"fact {page}", "page": page} for page in range(1, 6)]})
ANSWER = json.dumps({"answer": "You may delete the key after the backup.", "sources": [1, 2], "done": True})
MESSAGES = [{"role": "user", "content": "What of the keys?"}]
CUT = {FACTS: FACTS[: FACTS.index("fact 4") + 4], ANSWER: ANSWER[: ANSWER.index(" after")]}


class Model(BaseHTTPRequestHandler):
    text, reason = FACTS, "stop"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        tool = asked["tools"][0]["function"]["name"] if asked.get("tools") else None

        def part(text):
            call = {"index": 0, "id": "call", "type": "function", "function": {"name": tool, "arguments": text}}
            return {"role": "assistant", **({"tool_calls": [call]} if tool else {"content": text})}

        def body(kind, key, value, reason):
            choice = {"index": 0, key: value, "finish_reason": reason}
            return json.dumps({"id": "1", "object": kind, "created": 1, "model": "model", "choices": [choice]})

        if asked.get("stream"):
            pieces = [self.text[i : i + 7] for i in range(0, len(self.text), 7)]
            events = [body("chat.completion.chunk", "delta", part(piece), None) for piece in pieces]
            events += [body("chat.completion.chunk", "delta", {}, self.reason)] * bool(self.reason)
            answer, kind = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]), "text/event-stream"
        else:
            answer, kind = body("chat.completion", "message", part(self.text), self.reason), "application/json"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(answer.encode())))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *args):
        pass




class Logged(logging.Handler):
    """What is logged; what is raised without the stream is, too."""

    count = 0

    def emit(self, record):
        self.count += 1


logged = Logged(logging.WARNING)
logging.getLogger().addHandler(logged)
server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
openai_client = openai.OpenAI(base_url=f"http://127.0.0.1:{server.server_port}", api_key="none", max_retries=0)
asked = {"model": "model", "messages": MESSAGES, "max_retries": 0}


def ask(mode, text, reason):
    Model.text, Model.reason = CUT[text] if reason != "stop" else text, reason
    client = instructor.from_openai(openai_client, mode=mode).chat.completions
    if text is FACTS:
        streamed = [fact.page for fact in client.create_iterable(response_model=Fact, **asked)]
        once = lambda: [fact.page for fact in client.create(response_model=list[Fact], **asked)]
    else:
        *_, last = client.create_partial(response_model=Answer, **asked)
        *_, marked = client.create_partial(response_model=DoneAnswer, **asked)
        streamed = isinstance(last, Answer), last.answer, last.sources, marked.done
        once = lambda: client.create(response_model=Answer, **asked).answer
    assert logged.count == 0, "a stream that is cut is logged"
    try:
        return streamed, once()
    except (IncompleteOutputException, InstructorRetryException) as error:
        logged.count = 0
        return streamed, type(error).__name__


seen = {
    (mode.name, reason, name): ask(mode, text, reason)
    for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON) for reason in ("stop", "length", "content_filter", None)
    for name, text in (("facts", FACTS), ("answer", ANSWER))
}
for (mode, reason, name), (streamed, once) in seen.items():
    print(f"{mode:6} {str(reason):15} {name:7} streamed: {streamed}, without the stream: {once}")
for (mode, reason, name), (streamed, once) in seen.items():
    if reason == "stop":
        whole = [1, 2, 3, 4, 5] if name == "facts" else (True, "You may delete the key after the backup.", [1, 2], True)
        assert streamed == whole, "what is whole has changed"
        continue
    assert streamed == ([1, 2, 3] if name == "facts" else (True, "You may delete the key", None, None)), f"{mode}, {reason}: it has changed"
    told = "IncompleteOutputException" if reason == "length" else "InstructorRetryException"
    assert once == told, f"{mode}: without the stream it has changed"
print("as described")
PYTHON
