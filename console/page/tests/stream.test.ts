import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { epoch, position, Stream, type Listener, type Source } from "../src/api/stream";
import type { StreamEvent } from "../src/api/types";

class Fake implements Source {
  readyState = 1;
  closed = false;
  readonly listeners = new Map<string, (message: MessageEvent<string>) => void>();
  constructor(readonly address: string) {}
  addEventListener(kind: string, listener: (message: MessageEvent<string>) => void): void {
    this.listeners.set(kind, listener);
  }
  close(): void {
    this.closed = true;
  }
  send(kind: string, data: unknown): void {
    this.listeners.get(kind)?.({ data: JSON.stringify(data), lastEventId: "" } as MessageEvent<string>);
  }
  get after(): string | null {
    return new URL(this.address, "http://x").searchParams.get("after");
  }
}

const event = (at: number): StreamEvent => ({ position: at, journal: "j", seq: at, at, kind: "decided", session: "s", agent: "a", event: null });

describe("the stream", () => {
  let sources: Fake[];
  let seen: number[];
  let told: string[];
  let refused: number;
  let stream: Stream;
  const last = () => sources.at(-1)!;

  beforeEach(() => {
    vi.useFakeTimers();
    sources = [];
    seen = [];
    told = [];
    refused = 0;
    const make = (address: string) => {
      sources.push(new Fake(address));
      return last();
    };
    stream = new Stream("e1.10", make, (how) => told.push(how), () => (refused += 1));
    const listener: Listener = {
      events: (items) => seen.push(...items.map((item) => item.position)),
      anew: () => told.push("anew"),
      resumed: () => told.push("resumed"),
    };
    stream.listen(listener);
    stream.open();
  });

  afterEach(() => {
    stream.close();
    vi.useRealTimers();
  });

  const hello = (cursor: string) => last().send("hello", { cursor, heartbeat_s: 15 });

  it("begins behind its cursor", () => {
    expect(last().after).toBe("e1.10");
    hello("e1.10");
    expect(told).toEqual(["connecting", "open"]);
  });

  it("goes on where it broke, and gives each event once", () => {
    hello("e1.10");
    last().send("events", { cursor: "e1.12", items: [event(11), event(12)] });
    last().listeners.get("error")!({} as MessageEvent<string>);
    expect(told.at(-1)).toBe("waiting");
    vi.advanceTimersByTime(300);
    expect(sources).toHaveLength(2);
    expect(last().after).toBe("e1.12");
    hello("e1.12");
    last().send("events", { cursor: "e1.13", items: [event(12), event(13)] });
    expect(seen).toEqual([11, 12, 13]);
    expect(told.at(-1)).toBe("resumed");
  });

  it("hears nothing of a source that it left", () => {
    const old = last();
    hello("e1.10");
    stream.want(true);
    expect(old.closed).toBe(true);
    old.send("events", { cursor: "e1.11", items: [event(11)] });
    expect(seen).toEqual([]);
    expect(new URL(last().address, "http://x").searchParams.get("live")).toBe("1");
  });

  it("moves on over what a filter leaves out, never back", () => {
    hello("e1.10");
    last().send("heartbeat", { cursor: "e1.40", behind: null });
    expect(stream.cursor).toBe("e1.40");
    last().send("heartbeat", { cursor: "e1.30", behind: null });
    expect(stream.cursor).toBe("e1.40");
  });

  it("loads everything again when the store was made anew", () => {
    hello("e2.3");
    last().send("epoch", { epoch: "e2", cursor: "e2.3" });
    expect(told).toEqual(["connecting", "open", "anew"]);
    last().send("events", { cursor: "e2.4", items: [event(4)] });
    expect(seen).toEqual([4]);
    expect(stream.cursor).toBe("e2.4");
  });

  it("waits longer each time, and asks who is logged in where it was refused", () => {
    for (const wait of [250, 500, 1000]) {
      last().readyState = 2;
      last().listeners.get("error")!({} as MessageEvent<string>);
      const before = sources.length;
      vi.advanceTimersByTime(wait - 1);
      expect(sources).toHaveLength(before);
      vi.advanceTimersByTime(1);
      expect(sources).toHaveLength(before + 1);
    }
    expect(refused).toBe(3);
  });

  it("takes silence for a break", () => {
    hello("e1.10");
    vi.advanceTimersByTime(15_000 * 2.5 + 300);
    expect(sources).toHaveLength(2);
  });

  it("stays closed", () => {
    stream.close();
    vi.advanceTimersByTime(60_000);
    expect(sources).toHaveLength(1);
  });
});

it("reads cursors", () => {
  expect([epoch("ab.7"), position("ab.7"), position("")]).toEqual(["ab", 7, -1]);
});
