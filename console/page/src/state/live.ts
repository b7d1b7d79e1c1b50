/** Sessions as they are now, each in a cell of its own: an update draws one row. */

import { get } from "../api/client";
import type { Stream } from "../api/stream";
import type { LiveSession } from "../api/types";
import { Cell } from "./cell";
import { inNextFrame } from "./frame";
import { heard, present } from "./now";

const ENDED_STAYS_S = 300;

export type Order = "started" | "cost" | "rate" | "used" | "agent";

export class LiveStore {
  readonly sessions = new Map<string, Cell<LiveSession>>();
  /** Ids in the order that the page shows them; made anew at most once in a frame, and only where it changed. */
  readonly order = new Cell<string[]>([]);
  readonly loaded = new Cell(false);
  #by: Order = "started";
  #matches: (session: LiveSession) => boolean = () => true;

  load(items: LiveSession[], at: number): void {
    heard(at);
    const present_ = new Set(items.map((item) => item.session));
    for (const id of this.sessions.keys()) if (!present_.has(id)) this.sessions.delete(id);
    this.update(items, at);
    this.loaded.set(true);
  }

  update(items: LiveSession[], at: number): void {
    heard(at);
    for (const item of items) {
      const cell = this.sessions.get(item.session);
      if (cell) cell.set(item);
      else this.sessions.set(item.session, new Cell(item));
    }
    inNextFrame(this.#arrange);
  }

  sort(by: Order, matches: (session: LiveSession) => boolean): void {
    this.#by = by;
    this.#matches = matches;
    this.#arrange();
  }

  /** Totals over what is shown. */
  totals(): { running: number; micro_usd: number; micro_usd_per_min: number; waiting: number } {
    const sum = { running: 0, micro_usd: 0, micro_usd_per_min: 0, waiting: 0 };
    for (const { value } of this.sessions.values()) {
      if (value.state === "running") sum.running += 1;
      sum.micro_usd += value.cost_micro_usd;
      sum.micro_usd_per_min += value.micro_usd_per_min;
      sum.waiting += value.waiting.length;
    }
    return sum;
  }

  readonly #arrange = () => {
    const oldest = present() - ENDED_STAYS_S;
    for (const [id, { value }] of this.sessions) {
      if (value.ended !== null && value.ended < oldest) this.sessions.delete(id);
    }
    const rank = RANKS[this.#by];
    const shown = [...this.sessions.values()].map((cell) => cell.value).filter(this.#matches);
    shown.sort((a, b) => over(a) - over(b) || rank(a, b) || (a.session < b.session ? -1 : 1));
    const ids = shown.map((session) => session.session);
    const before = this.order.value;
    if (ids.length !== before.length || ids.some((id, index) => id !== before[index])) this.order.set(ids);
  };
}

const over = (session: LiveSession) => (session.ended === null ? 0 : 1);

export function used(session: LiveSession): number {
  const { ceiling } = session;
  return ceiling && ceiling.cap > 0 ? (ceiling.spent + ceiling.held) / ceiling.cap : 0;
}

const RANKS: Record<Order, (a: LiveSession, b: LiveSession) => number> = {
  started: (a, b) => b.started - a.started,
  cost: (a, b) => b.cost_micro_usd - a.cost_micro_usd,
  rate: (a, b) => b.micro_usd_per_min - a.micro_usd_per_min,
  used: (a, b) => used(b) - used(a),
  agent: (a, b) => (a.agents[0] ?? "").localeCompare(b.agents[0] ?? ""),
};

/** Follow the stream from a snapshot on; gives what stops it. */
export function followLive(store: LiveStore, stream: Stream, failed: (error: unknown) => void): () => void {
  let stopped = false;
  const load = () => {
    get<{ at: number; items: LiveSession[] }>("/live", { limit: 500 }).then(
      (page) => stopped || store.load(page.items, page.at),
      (error: unknown) => stopped || failed(error),
    );
  };
  const stop = stream.listen({ live: (items, at) => store.update(items, at), anew: load, resumed: load });
  stream.want(true);
  load();
  return () => {
    stopped = true;
    stream.want(false);
    stop();
  };
}
