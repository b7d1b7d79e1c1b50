/** What people do with a reason: asked for, sent, and told how it went. */

import { post } from "../api/client";
import { doing } from "../parts/notices";
import { askWhy } from "../parts/why";

/** Ask why, then post it. Gives whether it was done. */
export async function act(route: string, title: string, text: string, action: string, done: string, danger = false): Promise<boolean> {
  const why = await askWhy({ title, text, action, danger });
  return why === null ? false : doing(post(route, { why }), done);
}
