"""The official clients of OpenAI and of the Model Context Protocol against a service of several pipelines: `client.py URL`."""

import asyncio
import sys
import urllib.parse

import httpx2
import openai
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

(url,) = sys.argv[1:]
client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=60)
BOTH = "docs+tickets"

assert [model.id for model in client.models.list()] == [
    "docs", "tickets", "docs+sources", "tickets+sources", BOTH, f"{BOTH}+sources",
]  # fmt: skip
assert client.models.retrieve(BOTH).id == BOTH


def pipelines(answer):
    """Whose viewer each source opens in."""
    links = [urllib.parse.urlsplit(url) for url in answer.citations]
    return {urllib.parse.parse_qs(link.query)["pipeline"][0] for link in links}


for question in ["How often are keys rotated?", "渡轮的水泵怎么了？"]:
    messages = [{"role": "user", "content": question}]
    answer = client.chat.completions.create(model=BOTH, messages=messages)
    assert (pipelines(answer), answer.model) == ({"docs", "tickets"}, BOTH), answer
    assert pipelines(client.chat.completions.create(model="tickets", messages=messages)) == {"tickets"}
    streamed = list(client.chat.completions.create(model=BOTH, messages=messages, stream=True))
    assert pipelines(streamed[0]) == {"docs", "tickets"}, streamed[0]
    listed = client.chat.completions.create(model=f"{BOTH}+sources", messages=messages).choices[0].message.content
    assert "\n- [1] " in listed, listed
    response = client.responses.create(model=BOTH, input=question)
    assert response.output[0].content[0].annotations, response
try:
    client.embeddings.create(model=BOTH, input="keys")
    raise AssertionError("two models embed as one")
except openai.BadRequestError as error:
    assert "docs, tickets" in str(error), error
try:
    client.models.retrieve("docs+nothing")
    raise AssertionError("there is no such model")
except openai.NotFoundError as error:
    assert error.code == "model_not_found", error


async def agent():
    async with httpx2.AsyncClient(timeout=120, trust_env=False) as http:
        async with Client(streamable_http_client(f"{url}/mcp", http_client=http), read_timeout_seconds=120) as session:
            assert "docs, tickets; without a name all of them together" in session.instructions, session.instructions

            async def call(name, **arguments):
                result = await session.call_tool(name, arguments)
                assert not result.is_error, result
                return result.content[0].text, result.structured_content

            for query, own in [("pump of the ferry", "tickets"), ("密钥多久轮换一次？", "docs")]:
                text, found = await call("search", query=query)
                assert found["pipeline"] == BOTH and found["hits"][0]["pipeline"] == own, found
                assert f"in {own}" in text.splitlines()[0], text
                uri = found["hits"][0]["uri"]
                text, document = await call("get", uri=uri)
                assert (document["uri"], document["pipeline"]) == (uri, own), document
                _, alone = await call("search", query=query, pipeline="docs")
                assert alone["pipeline"] == "docs" and "pipeline" not in alone["hits"][0], alone
            text, answer = await call("ask", question="How often are keys rotated?")
            assert {source["pipeline"] for source in answer["sources"]} == {"docs", "tickets"}, answer
            assert "· in docs\n" in text and "· in tickets\n" in text, text
            text, told = await call("status")
            assert text.startswith("pipeline docs: ") and "\npipeline tickets: " in text and told["together"] == BOTH, text


asyncio.run(agent())
