/** Which rows of a long list are in the DOM: those that can be seen and a few beside them. */

import { useEffect, useReducer, useRef } from "preact/hooks";

export interface Range {
  first: number;
  /** Behind the last one. */
  end: number;
}

export const BESIDE = 8;

/** Rows of a list that shows `height` pixels from `top` on. Never more than `most`. */
export function rowsInView(top: number, height: number, row: number, total: number, most = 240): Range {
  const first = Math.max(0, Math.min(total, Math.floor(top / row)) - BESIDE);
  const seen = Math.ceil(height / row) + 2 * BESIDE + 1;
  return { first, end: Math.min(total, first + Math.min(seen, most)) };
}

/** Where to scroll so that a row is seen; null where it is already. */
export function scrollFor(index: number, top: number, height: number, row: number): number | null {
  const start = index * row;
  if (start < top) return start;
  if (start + row > top + height) return start + row - height;
  return null;
}

/** Follow a scrolling element; its rows change only when other rows come into view. */
export function useWindow<E extends HTMLElement>(row: number, total: number) {
  const element = useRef<E>(null);
  const range = useRef<Range>({ first: 0, end: Math.min(total, 60) });
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const measure = () => {
    const at = element.current;
    return at ? rowsInView(at.scrollTop, at.clientHeight, row, total) : range.current;
  };
  if (element.current) range.current = measure();
  useEffect(() => {
    const at = element.current;
    if (!at) return undefined;
    let asked = 0;
    const look = () => {
      asked = 0;
      const next = measure();
      if (next.first === range.current.first && next.end === range.current.end) return;
      redraw(undefined);
    };
    const soon = () => {
      asked ||= requestAnimationFrame(look);
    };
    at.addEventListener("scroll", soon, { passive: true });
    const size = new ResizeObserver(soon);
    size.observe(at);
    soon();
    return () => {
      cancelAnimationFrame(asked);
      at.removeEventListener("scroll", soon);
      size.disconnect();
    };
  }, [row, total]);
  const show = (index: number, centred = false) => {
    const at = element.current;
    if (!at) return;
    const top = scrollFor(index, at.scrollTop, at.clientHeight - 2 * row, row);
    if (top !== null) at.scrollTop = centred ? index * row - at.clientHeight / 2 : top;
  };
  return { element, range: range.current, show };
}
