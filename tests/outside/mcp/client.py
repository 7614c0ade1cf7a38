"""A client made with the official Python SDK: starts the server that it is told of, and prints what it finds as JSON."""

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters, stdio_client


async def main() -> None:
    command, *args = sys.argv[1:]
    server = StdioServerParameters(command=command, args=args, env=dict(os.environ))
    async with stdio_client(server) as (read, write), ClientSession(read, write) as client:
        hello = await client.initialize()
        tools = (await client.list_tools()).tools

        async def call(name: str, given: dict) -> dict:
            result = await client.call_tool(name, given)
            is_error = getattr(result, "is_error", None) or getattr(result, "isError", None) or False
            return {"text": result.content[0].text, "isError": is_error}

        info = getattr(hello, "server_info", None) or hello.serverInfo
        found = {
            "server": info.name,
            "tools": [tool.name for tool in tools],
            "calc": await call("calc", {"expression": "23 * 47"}),
            "wrong": await call("calc", {"expression": 7}),
            "denied": await call("notes_add", {"text": "lent"}),
        }
        print(json.dumps(found))


asyncio.run(main())
