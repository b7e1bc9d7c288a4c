"""The work of scripts/open-responses: a service over three documents, asked what the compliance run of Open Responses asks."""

import base64
import json
import pathlib
import sys
import urllib.error
import urllib.request

import openresponses_types as spec
from clients import SAID, TOKEN, serving
from pydantic import ValidationError

# Every class of an event, by the word of its `type`.
EVENTS = {
    next(iter(kind.model_fields["type"].annotation)).value: kind
    for name, kind in vars(spec.types).items()
    if name.endswith("StreamingEvent") and hasattr(kind, "model_fields")
}
ITEMS = ("response.output_item.added", "response.output_item.done")
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {"location": {"type": "string"}}}}
PIXEL = base64.b64encode(bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010800000000")).decode()


def message(role, content):
    return {"type": "message", "role": role, "content": content}


def user(text):
    return message("user", text)


def ask(url, body):
    request = urllib.request.Request(f"{url}/responses", json.dumps({"model": "docs", **body}).encode())
    request.add_header("content-type", "application/json")
    request.add_header("authorization", f"Bearer {TOKEN}")
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60)


def whole(url, body):
    with ask(url, body) as answer:
        response = json.load(answer)
    spec.CreateResponseBody.model_validate({"model": "docs", **body})
    return spec.ResponseResource.model_validate(response)


def completed(response):
    assert response.status == "completed", response.status
    text = "".join(part.text for item in response.output if item.type == "message" for part in item.content)
    assert text == SAID, text
    return response


def events(url, body):
    """The events of an answer, in the order and with the neighbours that the specification gives them."""
    with ask(url, {**body, "stream": True}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.headers["content-type"]
        blocks = [block for block in answer.read().decode().split("\n\n") if block and not block.startswith(":")]
    assert blocks.pop() == "data: [DONE]", "the last line is the end mark"
    told = []
    for block in blocks:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        event = json.loads(fields["data"])
        assert fields["event"] == event["type"], fields
        try:
            told.append(EVENTS[event["type"]].model_validate(event))
        except ValidationError as wrong:
            raise AssertionError(f"{json.dumps(event, ensure_ascii=False)}\n{wrong}") from None
    numbers = [event.sequence_number for event in told]
    assert numbers == list(range(len(told))), numbers
    return told


def streamed(url, body, last="response.completed"):
    told = events(url, body)
    kinds = [event.type.value for event in told]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == last, kinds
    if last == "response.completed":
        added, done = ([event.item.id for event in told if event.type == kind] for kind in ITEMS)
        assert added == done, "each item that begins ends"
        deltas = "".join(event.delta for event in told if event.type == "response.output_text.delta")
        assert deltas == SAID, deltas
        completed(told[-1].response)
    return told


def failed(told):
    assert told[-2].type == "error" and told[-1].response.status == "failed", told[-2:]
    assert told[-1].response.error.message, told[-1]


def refused(url, body):
    try:
        ask(url, body)
    except urllib.error.HTTPError as error:
        told = json.load(error)["error"]
        assert error.code == 400 and told["type"] == "invalid_request_error" and told["message"], (error.code, told)
        return
    raise AssertionError("it was answered")


CHECKS = {
    "basic-response": lambda url: completed(whole(url, {"input": [user("Say how often keys are rotated.")]})),
    "streaming-response": lambda url: streamed(url, {"input": [user("How often are keys rotated?")]}),
    "streaming-response, thoughts shown": lambda url: streamed(
        url, {"input": [user("How often are keys rotated?")], "reasoning": {"summary": "auto"}}
    ),
    "system-prompt": lambda url: completed(
        whole(url, {"input": [message("system", "Speak as a pirate."), user("How often are keys rotated?")]})
    ),
    "image-input": lambda url: refused(
        url,
        {
            "input": [
                user(
                    [
                        {"type": "input_text", "text": "What do you see?"},
                        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
                    ]
                )
            ]
        },
    ),
    "multi-turn": lambda url: completed(
        whole(url, {"input": [user("Of keys."), message("assistant", "What of keys?"), user("How often are they rotated?")]})
    ),
    "text as input, settings said again": lambda url: completed(
        whole(
            url,
            {"input": "How often are keys rotated?", "instructions": "Be brief.", "max_output_tokens": 99, "metadata": {"a": "b"}},
        )
    ),
    "an answer that breaks off": lambda url: failed(streamed(url, {"input": "break off about keys"}, "response.failed")),
    "tool-calling: refused": lambda url: refused(url, {"input": "What is the weather?", "tools": [TOOL]}),
    "previous_response_id: refused": lambda url: refused(url, {"input": "And then?", "previous_response_id": "resp_1"}),
}


def main():
    program, scratch = sys.argv[1:]
    wrong = []
    with serving(program, pathlib.Path(scratch)) as (url, _):
        for name, check in CHECKS.items():
            try:
                check(url)
                print(f"ok      {name}", flush=True)
            except (AssertionError, ValidationError, urllib.error.HTTPError) as error:
                said = error.read().decode() if isinstance(error, urllib.error.HTTPError) else error
                print(f"FAILED  {name}\n{said}", flush=True)
                wrong.append(name)
    sys.exit(f"error: {', '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
