"""A server made with the official Python SDK: over stdio, or with `http` behind its name on a port of 127.0.0.1."""

import base64
import socket
import sys

from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Image

server = MCPServer("python")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@server.tool()
def add(a: float, b: float) -> str:
    """Adds two numbers."""
    return f"{a + b:g}"


@server.tool()
def picture() -> list:
    """Draws a pixel."""
    return ["a pixel", Image(data=base64.b64decode(PIXEL), format="png")]


@server.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("nothing to be done")


@server.tool()
async def count(n: int, ctx: Context) -> str:
    """Counts slowly."""
    for i in range(1, n + 1):
        await ctx.report_progress(i, n, f"counted {i}")
    return f"counted to {n}"


if sys.argv[1:] == ["http"]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    print(port, flush=True)
    server.run(transport="streamable-http", host="127.0.0.1", port=port)
else:
    server.run()
