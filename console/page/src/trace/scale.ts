/** From times to places on the waterfall: which part is seen, where its ticks are, where a bar begins and ends. */

import type { Span } from "../api/types";

/** Unix seconds. */
export interface View {
  from: number;
  to: number;
}

const SHORTEST_S = 0.000_1;

/** The whole session; what still runs reaches to `now`. */
export function extent(spans: Span[], now: number): View {
  let from = Infinity;
  let to = -Infinity;
  for (const span of spans) {
    if (span.started < from) from = span.started;
    const end = span.ended ?? (span.outcome === "running" ? now : span.started);
    if (end > to) to = end;
  }
  if (!Number.isFinite(from)) return { from: now - 1, to: now };
  const length = Math.max(to - from, 0.001);
  return { from, to: from + length * 1.02 };
}

/** Where something is in the view, in percent of its width, cut at its edges; null outside. */
export function bar(view: View, from: number, to: number): { left: number; width: number } | null {
  if (to < view.from || from > view.to) return null;
  const length = view.to - view.from;
  const left = Math.max(0, (from - view.from) / length);
  const right = Math.min(1, (to - view.from) / length);
  return { left: left * 100, width: Math.max(0, right - left) * 100 };
}

/** Zoom by a factor with one place (0 to 1 of the width) held where it is, within the whole. */
export function zoom(view: View, whole: View, factor: number, at: number): View {
  const length = Math.min(whole.to - whole.from, Math.max(SHORTEST_S, (view.to - view.from) * factor));
  const fixed = view.from + (view.to - view.from) * at;
  return within({ from: fixed - length * at, to: fixed + length * (1 - at) }, whole);
}

/** Move by a part of what is seen, within the whole. */
export function pan(view: View, whole: View, part: number): View {
  const by = (view.to - view.from) * part;
  return within({ from: view.from + by, to: view.to + by }, whole);
}

function within(view: View, whole: View): View {
  const length = Math.min(view.to - view.from, whole.to - whole.from);
  const from = Math.min(Math.max(view.from, whole.from), whole.to - length);
  return { from, to: from + length };
}

/** About `wanted` round numbers (seconds after the beginning) within the view. */
export function ticks(view: View, start: number, wanted: number): number[] {
  const step = round((view.to - view.from) / Math.max(1, wanted));
  const found: number[] = [];
  const first = Math.ceil((view.from - start) / step - 1e-9) || 0; // no -0
  for (let index = first; start + index * step <= view.to; index++) found.push(index * step);
  return found;
}

const CLOCK = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];

function round(step: number): number {
  if (step >= 1) return CLOCK.find((nice) => nice >= step) ?? Math.ceil(step / 86_400) * 86_400;
  const power = 10 ** Math.floor(Math.log10(step));
  const part = step / power;
  return (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10) * power;
}
