/** One session's trace: a snapshot, then the stream's events of that session. */

import { all, get } from "../api/client";
import type { SessionDetail, Span, StreamEvent } from "../api/types";
import type { Problem } from "../api/client";
import type { Stream } from "../api/stream";
import { Cell } from "../state/cell";
import { asProblem } from "../state/problem";
import { Spans } from "./spans";

const SETTLE_MS = 1500;

export class TraceStore {
  readonly spans = new Spans();
  readonly detail = new Cell<SessionDetail | null>(null);
  /** Counts up with every change of the spans: drawn once in a frame. */
  readonly version = new Cell(0);
  readonly problem = new Cell<Problem | null>(null);
  readonly complete = new Cell(false);
  readonly #asked: string;
  readonly #early: StreamEvent[] = [];
  #own = new AbortController();
  #settle: ReturnType<typeof setTimeout> | undefined;
  #stop: () => void = () => undefined;

  /** `session`: an id, the beginning of one, or an external id. */
  constructor(session: string) {
    this.#asked = session;
  }

  open(stream: Stream): void {
    this.#own = new AbortController();
    this.#stop = stream.listen({
      events: (items) => this.take(items),
      anew: () => void this.#load(true),
      resumed: () => void this.#reload(),
    });
    void this.#load(false);
  }

  close(): void {
    this.#own.abort();
    clearTimeout(this.#settle);
    this.#stop();
  }

  take(items: StreamEvent[]): void {
    const id = this.detail.value?.session;
    const mine = items.filter((item) => item.session === id || (!id && item.session.startsWith(this.#asked)));
    if (!mine.length) return;
    if (this.problem.value && !this.detail.value) void this.#load(false); // it was not on record yet
    if (!this.complete.value) this.#early.push(...mine); // what is being loaded may be older
    for (const item of mine) this.spans.take(item);
    this.version.set(this.spans.version);
    this.#settle ??= setTimeout(() => void this.#reload(), SETTLE_MS);
  }

  /** Load after a failure. */
  again(): void {
    void this.#load(true);
  }

  /** The session's sums are the console's to count. */
  async #reload(): Promise<void> {
    clearTimeout(this.#settle);
    this.#settle = undefined;
    try {
      const detail = await get<SessionDetail>(`/sessions/${encodeURIComponent(this.#asked)}`, {}, this.#own.signal);
      this.spans.waits = detail.waits;
      this.detail.set(detail);
    } catch (error) {
      this.#failed(error);
    }
  }

  async #load(anew: boolean): Promise<void> {
    this.problem.set(null);
    const address = `/sessions/${encodeURIComponent(this.#asked)}`;
    const { signal } = this.#own;
    if (anew) this.spans.byId.clear();
    try {
      const about = get<SessionDetail>(address, {}, signal).then((detail) => {
        this.spans.waits = detail.waits;
        this.detail.set(detail);
      });
      const loaded = all<Partial<Span>>(
        `${address}/spans`,
        { limit: 20_000 },
        (items) => {
          this.spans.load(items);
          this.version.set(this.spans.version);
        },
        signal,
      );
      await Promise.all([about, loaded]);
      for (const item of this.#early.splice(0)) this.spans.take(item);
      this.version.set(this.spans.version);
      this.problem.set(null);
      this.complete.set(true);
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (!this.#own.signal.aborted) this.problem.set(asProblem(error));
  }
}
