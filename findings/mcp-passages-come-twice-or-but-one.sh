#!/usr/bin/env bash
# mcp-haystack 2.1.1 (haystack-ai 3.4.1) and llama-index-tools-mcp 0.6.0 (llama-index-core 0.14.25), over mcp 2.3.0, the SDK of the protocol.
#
# A search over documents as a tool of the Model Context Protocol: a function that returns a list of passages. The SDK's server hands on a
# block of text for each passage, and the list once more as structured content, since a client may read the one or the other. What an agent
# gets should be the passages, each once, and of a tool that failed that it did.
#
# Seen, of three passages:
# - Haystack, where the result is kept for later steps (`outputs_to_state`): the first passage. The others are dropped, from the state and from
#   what the model is told; a list of objects becomes its first object. Where nothing is kept, the model is told the whole message as JSON:
#   each passage twice, with seven nulls.
# - LlamaIndex: the message as Python writes an object, each passage twice, with line breaks as backslash and "n". A tool that failed is a
#   success (`is_error` is false), with the error in the text.
# A server that returns one text is read whole by both, and still twice: the script shows it.
#
# For a RAG user the agent answers from one passage of three, and nothing says that there were more; or the passages, which are most of what a
# question costs, are paid twice, in each turn of the conversation again. Upstream: agent-framework 7866 (closed) and onyx 14171 (open), both
# August 2026, have the doubling elsewhere, camel 4263 the first block alone (closed in August 2026); of Haystack and LlamaIndex no issue was
# found as of November 2026.
#
# Fails if that changes. Linux or macOS with python3; some 90 MB to fetch, 360 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  mcp-haystack==2.1.1 haystack-ai==3.4.1 llama-index-tools-mcp==0.6.0 llama-index-core==0.14.25 mcp==2.3.0
cat >"$folder/server.py" <<'PYTHON'
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

PASSAGES = ["Signing keys are rotated every ninety days.", "You may not delete a key before the backup.", "备份完成之前，不得删除密钥。"]
server = MCPServer("handbook")


@server.tool()
def search(question: str) -> list[str]:
    """Passages of the handbook."""
    return PASSAGES


@server.tool()
def rows(question: str) -> list[dict[str, str]]:
    """Passages with their pages."""
    return [{"text": text, "page": str(page)} for page, text in enumerate(PASSAGES, 1)]


@server.tool()
def one_text(question: str) -> str:
    """The passages in one text."""
    return "\n\n".join(PASSAGES)


@server.tool()
def fails(question: str) -> str:
    """The index is away."""
    raise ToolError("the index is away")


if __name__ == "__main__":
    server.run()
PYTHON
cd "$folder"
HAYSTACK_TELEMETRY_ENABLED=False "$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import sys

from haystack_integrations.tools.mcp import MCPTool, StdioServerInfo
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec
from server import PASSAGES

QUESTION = {"question": "How are keys handled?"}


def haystack(name, **settings):
    tool = MCPTool(name=name, server_info=StdioServerInfo(command=sys.executable, args=["server.py"]), eager_connect=True, **settings)
    try:
        return tool.invoke(**QUESTION)
    finally:
        tool.close()


async def llama_index():
    tools = await McpToolSpec(BasicMCPClient(sys.executable, args=["server.py"])).to_tool_list_async()
    return {tool.metadata.name: await tool.acall(**QUESTION) for tool in tools}


def told(result):
    """How often each passage is in what the model is told."""
    return [str(result).count(passage) for passage in PASSAGES]


KEPT = {"outputs_to_state": {"passages": {"handler": lambda old, new: [*(old or []), new]}}}
outputs = asyncio.run(llama_index())
seen = {
    "Haystack, kept": haystack("search", **KEPT),
    "Haystack, kept, objects": haystack("rows", **KEPT),
    "Haystack, kept, one text": haystack("one_text", **KEPT),
    "Haystack": haystack("search"),
    "Haystack, one text": haystack("one_text"),
    "LlamaIndex": outputs["search"].content,
    "LlamaIndex, one text": outputs["one_text"].content,
}
for name, result in seen.items():
    print(f"{name:26} each passage {told(result)} times, {len(str(result))} characters; the passages have {len(''.join(PASSAGES))}")
print("LlamaIndex, a tool that failed:", outputs["fails"].is_error, outputs["fails"].content[:90])
once, twice, first = [1, 1, 1], [2, 2, 2], [1, 0, 0]
assert {name: told(result) for name, result in seen.items()} == {
    "Haystack, kept": first, "Haystack, kept, objects": first, "Haystack, kept, one text": once, "Haystack": twice, "Haystack, one text": twice,
    "LlamaIndex": twice, "LlamaIndex, one text": twice,
}, "it has changed"
assert seen["Haystack, kept, objects"] == {"text": PASSAGES[0], "page": "1"}, "objects have changed"
assert seen["Haystack"].count("null") == 7 and r"\n\n" in seen["LlamaIndex, one text"], "how it is written has changed"
assert outputs["fails"].is_error is False and "the index is away" in outputs["fails"].content, "a tool that failed has changed"
print("as described")
PYTHON
