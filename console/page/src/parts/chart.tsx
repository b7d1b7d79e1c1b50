/** Lines and bars over time with uPlot, in the page's colours. */

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useCell } from "../state/cell";
import { colour, dark } from "../theme";

export interface Line {
  name: string;
  values: (number | null)[];
}

/** Tints that are told apart in both themes; beyond them they repeat. */
const TINTS = ["series-1", "series-2", "series-3", "series-4", "series-5", "series-6", "series-7", "series-8", "series-9"];

export function tint(index: number): string {
  return TINTS[index % TINTS.length] ?? "series-1";
}

/** The hour, or the day where a step is that long or a day begins. */
export function moment(at: number, step: number): string {
  const date = new Date(at * 1000);
  const midnight = date.getHours() === 0 && date.getMinutes() === 0;
  if (step >= 86_400 || midnight) return date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return date.toTimeString().slice(0, 5);
}

/** The room between an element's paddings, in pixels. */
function inside(element: HTMLElement): number {
  const { paddingLeft, paddingRight } = getComputedStyle(element);
  return Math.max(200, element.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight));
}

interface Props {
  times: number[];
  lines: Line[];
  read: (value: number) => string;
  height?: number;
  label: string;
  stacked?: boolean;
}

/** Each series is added to those before it, the last one on top. */
export function stack(lines: Line[]): Line[] {
  let below: number[] = [];
  return lines.map((line) => {
    below = line.values.map((value, index) => (value ?? 0) + (below[index] ?? 0));
    return { name: line.name, values: below };
  });
}

export function Chart({ times, lines, read, height = 220, label, stacked = false }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const isDark = useCell(dark);
  useEffect(() => {
    const at = place.current;
    if (!at) return undefined;
    // Stacked areas hide one another from the top down: the highest is drawn first.
    const drawn = stacked ? stack(lines).map((line, index) => ({ ...line, index })).reverse() : lines.map((line, index) => ({ ...line, index }));
    const axis = {
      stroke: colour("text-3"),
      grid: { stroke: colour("line"), width: 1 },
      ticks: { stroke: colour("line"), width: 1, size: 4 },
      font: "11px Inter, sans-serif",
    };
    const plot = new uPlot(
      {
        width: inside(at),
        height,
        legend: { show: false },
        cursor: { y: false, points: { size: 6 } },
        scales: { x: { time: true }, y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.08 : 1] } },
        axes: [{ ...axis, size: 30, space: 72, values: (_plot, splits, _axis, _space, step) => splits.map((at) => moment(at, step)) }, { ...axis, size: 62, values: (_plot, splits) => splits.map((value) => read(value)) }],
        series: [
          {},
          ...drawn.map((line) => ({
            label: line.name,
            stroke: colour(tint(line.index)),
            width: stacked ? 1 : 1.6,
            points: { show: times.length < 3 },
            ...(stacked ? { fill: colour(tint(line.index)), paths: uPlot.paths.stepped!({ align: 1 }) } : {}),
          })),
        ],
      },
      [times, ...drawn.map((line) => line.values)],
      at,
    );
    const size = new ResizeObserver(() => plot.setSize({ width: inside(at), height }));
    size.observe(at);
    return () => {
      size.disconnect();
      plot.destroy();
    };
  }, [times, lines, isDark, height, stacked]);
  return <div class="chart" ref={place} role="img" aria-label={label} />;
}
