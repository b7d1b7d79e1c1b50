// An agent in TypeScript whose tools are governed: `node agent.ts URL TOKEN` (node 23.6 or newer runs it as it is).

import { Jackline, Refused } from "./jackline.ts";

const [url, token] = process.argv.slice(2);
if (!url || !token) throw new Error("usage: node agent.ts http://127.0.0.1:8471/v1 TOKEN");

const jackline = new Jackline({ url, token, session: "ticket-8", user: "u-9" });

const lookup = (customer: string) =>
  jackline.tool("crm_get", { customer }, async (args) => `${args.customer}: Ann`, { readOnly: true });
const remove = (customer: string) => jackline.tool("crm_delete", { customer }, async () => "gone");

console.log(await lookup("c-7"));
try {
  console.log(await remove("c-7"));
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  console.log(`not done: ${error.message}`); // for the model: it may try something else
}
