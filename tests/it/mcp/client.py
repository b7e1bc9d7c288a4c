"""Talks to a server by the official SDK of the Model Context Protocol, as it is told on stdin, and prints what it got as JSON."""

import asyncio
import json
import sys

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client


async def call(client, name, arguments):
    try:
        result = await client.call_tool(name, arguments)
    except MCPError as error:
        return {"refused": error.error.code, "message": error.error.message}
    return json.loads(result.model_dump_json(by_alias=True, exclude_none=True))


async def session(server, told):
    async with Client(server, mode=told["mode"], read_timeout_seconds=120) as client:
        tools = await client.list_tools()
        return {
            "version": client.protocol_version,
            "server": client.server_info.name if client.server_info else None,
            "instructions": client.instructions,
            "tools": json.loads(tools.model_dump_json(by_alias=True, exclude_none=True))["tools"],
            "results": [await call(client, name, arguments) for name, arguments in told["calls"]],
        }


async def main():
    told = json.load(sys.stdin)
    if "command" in told:
        server = StdioServerParameters(**{key: told[key] for key in ("command", "args", "cwd", "env")})
        return await session(server, told)
    headers = {"Authorization": f"Bearer {told['token']}"} if "token" in told else {}
    async with httpx2.AsyncClient(headers=headers, timeout=120, trust_env=False) as http:
        return await session(streamable_http_client(told["url"], http_client=http), told)


json.dump(asyncio.run(main()), sys.stdout)
