/** The whole session in a strip: where steps are dense, where something was refused; dragging chooses what is seen. */

import { useEffect, useRef } from "preact/hooks";
import type { Span, Wait } from "../api/types";
import { useCell } from "../state/cell";
import { colour, dark } from "../theme";
import type { View } from "./scale";
import { refused } from "./spans";

const HEIGHT = 34;

/** How many steps run in each of `columns` parts of the session, and in which of them something was refused. */
export function density(spans: Span[], whole: View, columns: number, now: number): { run: Uint16Array; no: Uint8Array } {
  const run = new Uint16Array(columns);
  const no = new Uint8Array(columns);
  const length = whole.to - whole.from;
  const column = (at: number) => Math.max(0, Math.min(columns - 1, Math.floor(((at - whole.from) / length) * columns)));
  for (const span of spans) {
    if (refused(span)) no[column(span.started)] = 1;
    if (span.kind === "run") continue;
    const end = column(span.ended ?? (span.outcome === "running" ? now : span.started));
    for (let at = column(span.started); at <= end; at++) run[at] = (run[at] ?? 0) + 1;
  }
  return { run, no };
}

interface Props {
  spans: Span[];
  waits: Wait[];
  whole: View;
  view: View;
  now: number;
  setView: (view: View) => void;
}

export function Overview({ spans, waits, whole, view, now, setView }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const drag = useRef<number | null>(null);
  const isDark = useCell(dark);
  useEffect(() => {
    const at = canvas.current;
    if (!at) return undefined;
    const paint = () => draw(at, spans, waits, whole, now);
    paint();
    const size = new ResizeObserver(paint);
    size.observe(at);
    return () => size.disconnect();
  }, [spans, waits, whole.from, whole.to, isDark]);
  const length = whole.to - whole.from;
  const timeAt = (event: PointerEvent) => {
    const { left, width } = canvas.current!.getBoundingClientRect();
    return whole.from + Math.max(0, Math.min(1, (event.clientX - left) / width)) * length;
  };
  return (
    <div
      class="overview"
      onPointerDown={(event) => {
        drag.current = timeAt(event);
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => {
        if (drag.current === null) return;
        const to = timeAt(event);
        if (Math.abs(to - drag.current) > length / 200) setView({ from: Math.min(drag.current, to), to: Math.max(drag.current, to) });
      }}
      onPointerUp={() => {
        drag.current = null;
      }}
      onDblClick={() => setView(whole)}
      title="Drag to zoom, double-click to show all of it"
    >
      <canvas ref={canvas} height={HEIGHT} role="img" aria-label="Steps over the whole session" />
      <span class="seen" style={{ left: `${((view.from - whole.from) / length) * 100}%`, width: `${((view.to - view.from) / length) * 100}%` }} />
    </div>
  );
}

function draw(canvas: HTMLCanvasElement, spans: Span[], waits: Wait[], whole: View, now: number): void {
  const width = Math.max(1, Math.floor(canvas.clientWidth));
  const ratio = devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = HEIGHT * ratio;
  const pen = canvas.getContext("2d");
  if (!pen) return;
  pen.scale(ratio, ratio);
  const { run, no } = density(spans, whole, width, now);
  const most = Math.max(6, ...run); // a single step at a time is no full strip
  pen.fillStyle = colour("bar-model");
  run.forEach((n, x) => {
    const high = n ? Math.max(2, (Math.log1p(n) / Math.log1p(most)) * (HEIGHT - 10)) : 0;
    if (high) pen.fillRect(x, HEIGHT - 3 - high, 1, high);
  });
  const place = (at: number) => ((at - whole.from) / (whole.to - whole.from)) * width;
  pen.fillStyle = colour("warn");
  for (const wait of waits) pen.fillRect(place(wait.from), 0, Math.max(2, place(wait.to ?? now) - place(wait.from)), 3);
  pen.fillStyle = colour("bad");
  no.forEach((yes, x) => {
    if (yes) pen.fillRect(x - 1, 0, 2, HEIGHT);
  });
}
