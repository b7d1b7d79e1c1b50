/** The page's one stream, and how it is. */

import { get } from "../api/client";
import { Stream, type Connection } from "../api/stream";
import type { Me } from "../api/types";
import { Cell } from "./cell";

export const connection = new Cell<Connection>("off");

export const stream = new Stream(
  "",
  undefined,
  (how) => connection.set(how),
  // An `EventSource` does not say why it was refused: whether anybody is logged in is asked aside.
  () => void get<Me>("/me").catch(() => undefined),
);

const HIDDEN_MS = 60_000;
let hidden: ReturnType<typeof setTimeout> | undefined;

// Browsers allow few connections to a host: a tab that nobody looks at gives its own back, and goes on by cursor later.
document.addEventListener("visibilitychange", () => {
  clearTimeout(hidden);
  if (document.hidden) {
    hidden = setTimeout(() => stream.close(), HIDDEN_MS);
  } else if (stream.connection === "off" && wanted) {
    stream.open();
  }
});

let wanted = false;

/** Connect once somebody is logged in; disconnect when nobody is. */
export function connect(on: boolean): void {
  if (on === wanted) return;
  wanted = on;
  if (on) stream.open();
  else stream.close();
}
