// Plays a TypeScript agent: one JSON line a step in, one out. Every body that runs is counted.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [library, url, token, timeoutMs] = process.argv.slice(2);
const { Jackline, Refused } = await import(pathToFileURL(library).href);
const jackline = new Jackline({ url, token, session: "ticket-7", timeoutMs: Number(timeoutMs) });
let ran = 0;

for await (const line of createInterface({ input: process.stdin })) {
  const { tool, args, gives, callId, fails } = JSON.parse(line);
  const told: { [name: string]: unknown } = {};
  try {
    told.result = await jackline.tool(
      tool,
      args,
      (received: unknown) => {
        ran += 1;
        told.received = received;
        if (fails) throw new TypeError("the body failed");
        return gives;
      },
      { callId },
    );
  } catch (error) {
    if (error instanceof Refused) Object.assign(told, { refused: error.effect, pending: error.pending, why: error.message });
    else told.raised = (error as Error).name;
  }
  console.log(JSON.stringify({ ...told, ran }));
}
