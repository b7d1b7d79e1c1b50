/** The one stream of the page: server-sent events, gone on with by cursor after whatever broke it, each event once. */

import type { Behind, LiveSession, StreamEvent } from "./types";

/** What of `EventSource` is used; tests bring their own. */
export interface Source {
  readonly readyState: number;
  addEventListener(kind: string, listener: (message: MessageEvent<string>) => void): void;
  close(): void;
}

export interface Listener {
  events?(items: StreamEvent[]): void;
  live?(items: LiveSession[], at: number): void;
  /** The store was made anew, or what was missed cannot be told: load again. */
  anew?(): void;
  /** It works again after a break; state that is no history is loaded again. */
  resumed?(): void;
}

export type Connection = "connecting" | "open" | "waiting" | "off";

const CLOSED = 2;
const LONGEST_WAIT_MS = 15_000;

export class Stream {
  cursor: string;
  connection: Connection = "off";
  behind: Behind | null = null;
  #live = false;
  #source: Source | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #opened = false;
  #heartbeat_ms = 15_000;
  readonly #listeners = new Set<Listener>();
  readonly #make: (address: string) => Source;
  readonly #changed: (connection: Connection) => void;
  readonly #refused: () => void;

  /**
   * `changed` hears how the connection is; `refused` is called where the source closes for good (401, or the console is
   * gone), before it is tried again.
   */
  constructor(
    cursor: string,
    make: (address: string) => Source = (address) => new EventSource(address),
    changed: (connection: Connection) => void = () => undefined,
    refused: () => void = () => undefined,
  ) {
    this.cursor = cursor;
    this.#make = make;
    this.#changed = changed;
    this.#refused = refused;
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Whether `live` messages are wanted too; a change connects again where the stream is. */
  want(live: boolean): void {
    if (live === this.#live) return;
    this.#live = live;
    if (this.#source || this.#retry) this.open();
  }

  open(): void {
    this.#drop();
    this.#tell(this.#failures ? "waiting" : "connecting");
    const parameters = new URLSearchParams();
    if (this.cursor) parameters.set("after", this.cursor);
    if (this.#live) parameters.set("live", "1");
    const source = this.#make(`/api/v1/stream?${parameters.toString()}`);
    this.#source = source;
    const on = (kind: string, take: (data: never, id: string) => void) =>
      source.addEventListener(kind, (message) => {
        if (source !== this.#source) return;
        this.#alive();
        take(JSON.parse(message.data) as never, message.lastEventId);
      });
    on("hello", (data: { cursor: string; heartbeat_s: number }) => this.#hello(data));
    on("events", (data: { cursor: string; items: StreamEvent[] }) => this.#events(data.items, data.cursor));
    on("live", (data: { at: number; items: LiveSession[] }) => this.#each((l) => l.live?.(data.items, data.at)));
    on("heartbeat", (data: { cursor: string; behind: Behind }) => {
      this.behind = data.behind;
      this.#move(data.cursor);
    });
    on("epoch", (data: { cursor: string }) => {
      this.cursor = data.cursor;
      this.#each((l) => l.anew?.());
    });
    on("closed", () => this.#broken());
    source.addEventListener("error", () => {
      if (source === this.#source) this.#broken();
    });
    this.#alive();
  }

  close(): void {
    this.#drop();
    this.#failures = 0;
    this.#tell("off");
  }

  #hello(data: { cursor: string; heartbeat_s: number }): void {
    this.#heartbeat_ms = Math.max(1000, data.heartbeat_s * 1000);
    const again = this.#opened;
    this.#opened = true;
    this.#failures = 0;
    this.#tell("open");
    if (!this.cursor) this.cursor = data.cursor;
    // Another epoch: an `epoch` message follows and has everything loaded again.
    else if (again && epoch(this.cursor) === epoch(data.cursor)) this.#each((l) => l.resumed?.());
  }

  #events(items: StreamEvent[], cursor: string): void {
    const seen = position(this.cursor);
    const fresh = items.filter((item) => item.position > seen);
    this.#move(cursor);
    if (fresh.length) this.#each((l) => l.events?.(fresh));
  }

  /** Never back: a message that was sent twice moves nothing. */
  #move(cursor: string): void {
    if (epoch(cursor) !== epoch(this.cursor) || position(cursor) > position(this.cursor)) this.cursor = cursor;
  }

  #broken(): void {
    const gone = this.#source?.readyState === CLOSED;
    this.#drop();
    this.#failures += 1;
    this.#tell("waiting");
    if (gone) this.#refused();
    const wait = Math.min(LONGEST_WAIT_MS, 250 * 2 ** (this.#failures - 1));
    this.#retry = setTimeout(() => this.open(), wait);
  }

  /** A connection that a proxy or a sleeping machine holds open without a word counts as broken. */
  #alive(): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#broken(), this.#heartbeat_ms * 2.5);
  }

  #drop(): void {
    clearTimeout(this.#retry);
    clearTimeout(this.#watch);
    this.#retry = undefined;
    this.#source?.close();
    this.#source = null;
  }

  #tell(connection: Connection): void {
    if (connection === this.connection) return;
    this.connection = connection;
    this.#changed(connection);
  }

  #each(call: (listener: Listener) => void): void {
    for (const listener of [...this.#listeners]) call(listener);
  }
}

/** The store's epoch of `EPOCH.POSITION`. */
export function epoch(cursor: string): string {
  return cursor.slice(0, cursor.indexOf("."));
}

/** The position of `EPOCH.POSITION`; -1 where there is none. */
export function position(cursor: string): number {
  const number = Number(cursor.slice(cursor.indexOf(".") + 1));
  return cursor.includes(".") && Number.isFinite(number) ? number : -1;
}
