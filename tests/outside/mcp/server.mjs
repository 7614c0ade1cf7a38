// A server made with the official TypeScript SDK: over stdio, or with `http` behind its name on a port of 127.0.0.1, which it
// prints. With a second word, that is the key that a client needs.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { z } from "zod";

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

function made() {
  const server = new McpServer({ name: "typescript", version: "1.0.0" });
  const hints = { readOnlyHint: true, openWorldHint: false };
  server.registerTool(
    "add",
    { description: "Adds two numbers.", inputSchema: { a: z.number(), b: z.number() }, annotations: hints },
    async ({ a, b }) => ({ content: [{ type: "text", text: String(a + b) }] }),
  );
  server.registerTool("picture", { description: "Draws a pixel." }, async () => ({
    content: [{ type: "text", text: "a pixel" }, { type: "image", data: PIXEL, mimeType: "image/png" }],
  }));
  server.registerTool("fail", { description: "Fails." }, async () => {
    throw new Error("nothing to be done");
  });
  server.registerTool("count", { description: "Counts slowly.", inputSchema: { n: z.number().int() } }, async ({ n }, extra) => {
    const progressToken = extra._meta?.progressToken;
    for (let i = 1; i <= n; i++) {
      await new Promise((done) => setTimeout(done, 50));
      await extra.sendNotification({
        method: "notifications/progress",
        params: { progressToken, progress: i, total: n, message: `counted ${i}` },
      });
    }
    return { content: [{ type: "text", text: `counted to ${n}` }] };
  });
  return server;
}

const [kind, key] = process.argv.slice(2);
if (kind !== "http") {
  await made().connect(new StdioServerTransport());
} else {
  const sessions = new Map();
  const http = createServer(async (request, response) => {
    if (key && request.headers.authorization !== `Bearer ${key}`) {
      response.writeHead(401).end();
      return;
    }
    let transport = sessions.get(request.headers["mcp-session-id"]);
    if (!transport) {
      transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: () => randomUUID(),
        onsessioninitialized: (id) => sessions.set(id, transport),
      });
      await made().connect(transport);
    }
    await transport.handleRequest(request, response);
  });
  http.listen(0, "127.0.0.1", () => console.log(http.address().port));
}
