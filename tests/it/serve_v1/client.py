"""OpenAI's own client against a service. Its arguments: the address of /v1, and the address at which the provider's stand-in
says how many requests wait for their answer. What is not as it should be ends it with a traceback."""

import json
import math
import sys
import time
import urllib.request

import openai

base, waiting = sys.argv[1:]
client = openai.OpenAI(base_url=base, api_key="a-token-of-16-letters", timeout=60)
asked = dict(model="docs", messages=[{"role": "user", "content": "How often are keys rotated?"}])
said = "Every 90 days [1], in Chinese: 密钥 [1][2]."

# Models.
assert [model.id for model in client.models.list()] == ["docs", "docs+sources"]
assert client.models.retrieve("docs+sources").owned_by == "ragstream"

# A whole answer.
answer = client.chat.completions.create(**asked)
message = answer.choices[0].message
assert (message.content, answer.choices[0].finish_reason, answer.model) == (said, "stop", "docs"), answer
assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (11, 7, 18)
cited = [(note.url_citation.url, said[note.url_citation.start_index : note.url_citation.end_index]) for note in message.annotations]
assert [text for _, text in cited] == ["[1]", "[1]", "[2]"], cited
assert cited[0][0] == cited[1][0] == answer.citations[0] == answer.search_results[0]["url"], answer
assert cited[2][0] == answer.citations[1]

# The same as it is written: in the plain way, which looks at choices[0] of every chunk, and with the helper, which checks more.
text, notes = "", []
for chunk in client.chat.completions.create(**asked, stream=True):
    delta = chunk.choices[0].delta
    text += delta.content or ""
    notes += [note["url_citation"]["url"] for note in (delta.model_extra.get("annotations") or [])]
assert (text, chunk.choices[0].finish_reason, notes) == (said, "stop", [url for url, _ in cited])
with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
    for event in stream:
        pass
    final = stream.get_final_completion()
assert (final.choices[0].message.content, final.usage.total_tokens) == (said, 18)

# The sources at its end, and what is ours: few sources, another model, thoughts.
listed = client.chat.completions.create(**{**asked, "model": "docs+sources"}).choices[0].message.content
assert listed.startswith(said + "\n\nSources:\n\n- [1] ") and listed.count("\n- [") == 2, listed
one = client.chat.completions.create(**asked, extra_body={"ragstream": {"limit": 1, "model": "api/other", "reasoning": True}})
assert len(one.citations) == 1 and one.choices[0].message.reasoning_content == "Hm. other", one
narrowed = client.chat.completions.create(**asked, metadata={"ragstream": json.dumps({"where": ["path=docs/keys.md"]})})
assert [result["title"] for result in narrowed.search_results] == ["Keys"], narrowed

# Responses.
response = client.responses.create(model="docs", input="How often are keys rotated?", instructions="Be brief.")
assert (response.output_text, response.status, response.usage.total_tokens) == (said, "completed", 18), response
notes = response.output[0].content[0].annotations
assert [(note.type, note.url, said[note.start_index : note.end_index]) for note in notes] == [("url_citation", *one) for one in cited]
with client.responses.stream(model="docs", input=[{"role": "user", "content": "How often are keys rotated?"}]) as stream:
    kinds = [event.type for event in stream]
    final = stream.get_final_response()
assert (final.output_text, len(final.output[0].content[0].annotations)) == (said, 3), final
assert (kinds[0], kinds[-1], kinds.count("response.output_text.annotation.added")) == ("response.created", "response.completed", 3)

# Vectors: in base64, which the client asks for by itself, and in numbers.
vectors = client.embeddings.create(model="docs", input=["keys", "密钥"])
numbers = client.embeddings.create(model="docs", input="keys", encoding_format="float")
assert len(vectors.data) == 2 and vectors.usage.total_tokens > 0
assert all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(vectors.data[0].embedding, numbers.data[0].embedding, strict=True))

# What is refused is refused once: before the first word with a status, after it with an event.
def refused(kind, **more):
    try:
        for _ in client.chat.completions.create(**{**asked, **more}):
            pass
    except kind as error:
        return error
    raise AssertionError(f"{more}: no {kind.__name__}")


error = refused(openai.NotFoundError, model="gpt-5")
assert (error.code, error.type) == ("model_not_found", "invalid_request_error"), error
assert refused(openai.BadRequestError, n=2).code == "bad_request"
began = time.monotonic()
for stream in (False, True):
    error = refused(openai.InternalServerError, stream=stream, messages=[{"role": "user", "content": "refuse keys"}])
    assert (error.status_code, error.code) == (502, "auth"), error
assert time.monotonic() - began < 30
error = refused(openai.APIError, stream=True, messages=[{"role": "user", "content": "break off keys"}])
assert type(error) is openai.APIError and error.code == "network", error
try:
    for event in client.responses.create(model="docs", input="break off keys", stream=True):
        pass
    raise AssertionError("it did not break off")
except openai.APIError as error:
    assert error.code == "network", error
try:
    openai.OpenAI(base_url=base, api_key="another-token-of-16", max_retries=0).models.list()
    raise AssertionError("any token will do")
except openai.AuthenticationError as error:
    assert error.code == "unauthorized", error

# Who leaves cancels the request upstream.
stream = client.chat.completions.create(**{**asked, "messages": [{"role": "user", "content": "stall keys"}]}, stream=True)
next(iter(stream))
count = lambda: int(urllib.request.urlopen(waiting).read())
while count() != 1:
    time.sleep(0.005)
stream.close()
began = time.monotonic()
while count():
    assert time.monotonic() - began < 20, "it still runs"
    time.sleep(0.005)
print(json.dumps({"cancelled_ms": round((time.monotonic() - began) * 1000)}))
