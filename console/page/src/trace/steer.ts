/** Keyboard and wheel on the waterfall: arrows select and open, + - 0 zoom, Shift with arrows moves in time. */

import type { Row } from "./rows";
import { pan, zoom, type View } from "./scale";

interface Steered {
  rows: Row[];
  view: View;
  whole: View;
  select: (span: string) => void;
  toggle: (span: string, open: boolean) => void;
  setView: (view: View) => void;
}

export function moves(event: KeyboardEvent, at: Steered & { index: number; show: (index: number) => void }): void {
  if (event.metaKey || event.ctrlKey || event.altKey) return;
  if (!step(event, at)) return;
  event.preventDefault();
  event.stopPropagation();
}

function step(event: KeyboardEvent, at: Steered & { index: number; show: (index: number) => void }): boolean {
  const row = at.rows[at.index];
  const to = (index: number) => {
    const next = at.rows[Math.max(0, Math.min(at.rows.length - 1, index))];
    if (!next) return;
    at.select(next.span.span);
    at.show(Math.max(0, Math.min(at.rows.length - 1, index)));
  };
  switch (event.key) {
    case "ArrowDown":
      to(at.index + 1);
      return true;
    case "ArrowUp":
      to(at.index < 0 ? 0 : at.index - 1);
      return true;
    case "PageDown":
      to(at.index + 20);
      return true;
    case "PageUp":
      to(at.index - 20);
      return true;
    case "Home":
      to(0);
      return true;
    case "End":
      to(at.rows.length - 1);
      return true;
    case "ArrowRight":
    case "ArrowLeft":
      return sideways(event, at, row, to);
    case "+":
    case "=":
      at.setView(zoom(at.view, at.whole, 0.5, 0.5));
      return true;
    case "-":
      at.setView(zoom(at.view, at.whole, 2, 0.5));
      return true;
    case "0":
      at.setView(at.whole);
      return true;
    default:
      return false;
  }
}

function sideways(event: KeyboardEvent, at: Steered & { index: number }, row: Row | undefined, to: (index: number) => void): boolean {
  const right = event.key === "ArrowRight";
  if (event.shiftKey) {
    at.setView(pan(at.view, at.whole, right ? 0.2 : -0.2));
    return true;
  }
  if (!row) return false;
  if (right && row.children && !row.open) at.toggle(row.span.span, true);
  else if (right) to(at.index + (row.open ? 1 : 0));
  else if (row.open) at.toggle(row.span.span, false);
  else if (row.depth > 0) to(at.rows.slice(0, at.index).findLastIndex((other) => other.depth < row.depth));
  return true;
}

/** With Ctrl the wheel zooms where the pointer is; sideways it moves in time. */
export function wheels(event: WheelEvent, at: Steered): void {
  const track = (event.currentTarget as HTMLElement).querySelector(".axis");
  if (!track) return;
  const { left, width } = track.getBoundingClientRect();
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    const place = Math.max(0, Math.min(1, (event.clientX - left) / width));
    at.setView(zoom(at.view, at.whole, event.deltaY > 0 ? 1.25 : 0.8, place));
  } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY) && event.clientX > left) {
    event.preventDefault();
    at.setView(pan(at.view, at.whole, event.deltaX / width));
  }
}
