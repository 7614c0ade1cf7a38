// A client made with the official TypeScript SDK: starts the server that it is told of, and prints what it finds as JSON.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const [command, ...args] = process.argv.slice(2);
const client = new Client({ name: "typescript", version: "1.0.0" });
await client.connect(new StdioClientTransport({ command, args, env: process.env }));
const { tools } = await client.listTools();
const call = async (name, given) => {
  const result = await client.callTool({ name, arguments: given });
  return { text: result.content[0].text, isError: result.isError ?? false };
};
console.log(
  JSON.stringify({
    server: client.getServerVersion().name,
    tools: tools.map((tool) => tool.name),
    calc: await call("calc", { expression: "23 * 47" }),
    wrong: await call("calc", { expression: 7 }),
    denied: await call("notes_add", { text: "lent" }),
  }),
);
await client.close();
