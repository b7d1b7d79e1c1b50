/** What a page loads: shown while it is loaded again, made stale by events, never overtaken by an older answer. */

import { useEffect, useReducer, useRef } from "preact/hooks";
import type { Problem } from "../api/client";
import { stream } from "./connection";
import { inNextFrame } from "./frame";
import { asProblem } from "./problem";

export interface Loaded<T> {
  data: T | null;
  problem: Problem | null;
  loading: boolean;
  again: () => void;
}

export interface Staleness {
  /** Beginnings of event kinds after which it is loaded again. */
  kinds?: string[];
  /** Seconds after which it is loaded again anyway, while the tab is shown. */
  every?: number;
}

const SETTLE_MS = 250;

/** Load with `ask` whenever `key` changes (null: nothing to load) or what it rests on changed. */
export function useLoad<T>(
  key: string | null,
  ask: (signal: AbortSignal) => Promise<T>,
  stale: Staleness = {},
): Loaded<T> {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const state = useRef<Loaded<T> & { key: string | null }>({
    data: null,
    problem: null,
    loading: key !== null,
    again: () => undefined,
    key,
  });
  const asked = useRef(ask);
  asked.current = ask;
  if (state.current.key !== key) {
    state.current = { ...state.current, data: null, problem: null, loading: key !== null, key };
  }

  useEffect(() => {
    if (key === null) return undefined;
    const own = new AbortController();
    let running: AbortController | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const set = (change: Partial<Loaded<T>>) => {
      state.current = { ...state.current, ...change };
      inNextFrame(tell);
    };
    const tell = () => {
      if (!own.signal.aborted) redraw(undefined);
    };
    const load = () => {
      running?.abort();
      const mine = new AbortController();
      running = mine;
      set({ loading: true });
      asked.current(mine.signal).then(
        (data) => mine.signal.aborted || set({ data, problem: null, loading: false }),
        (error: unknown) => {
          if (mine.signal.aborted) return;
          set({ problem: asProblem(error), loading: false });
        },
      );
    };
    const soon = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        load();
      }, SETTLE_MS);
    };
    state.current.again = load;
    const stop = stream.listen({
      events: (items) => {
        if (items.some((item) => stale.kinds?.some((kind) => item.kind.startsWith(kind)))) soon();
      },
      anew: load,
      resumed: load,
    });
    const repeat = stale.every ? setInterval(() => document.hidden || soon(), stale.every * 1000) : undefined;
    load();
    return () => {
      own.abort();
      running?.abort();
      clearTimeout(timer);
      clearInterval(repeat);
      stop();
    };
  }, [key]);

  return state.current;
}
