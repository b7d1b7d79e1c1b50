/** The waterfall: a tree of steps beside their bars. Rows are recycled; at most a screenful is in the DOM. */

import { useEffect } from "preact/hooks";
import { memo } from "../parts/memo";
import type { Span } from "../api/types";
import { effectText, Button } from "../parts/basics";
import { Icon, kindIcon } from "../parts/icons";
import { useWindow } from "../parts/window";
import { duration, money, offset, plural } from "../format";
import type { Row } from "./rows";
import { bar, ticks, type View } from "./scale";
import { refused } from "./spans";
import { moves, wheels } from "./steer";

export const ROW_PX = 28;

interface Props {
  rows: Row[];
  view: View;
  whole: View;
  now: number;
  selected: string;
  select: (span: string) => void;
  toggle: (span: string, open: boolean) => void;
  setView: (view: View) => void;
}

export function Waterfall(props: Props) {
  const { rows, view, whole, now, selected } = props;
  const { element, range, show } = useWindow<HTMLDivElement>(ROW_PX, rows.length);
  const index = rows.findIndex((row) => row.span.span === selected);
  // A link to a step, or the replay, can choose one that is not seen.
  useEffect(() => {
    if (index >= 0) show(index, true);
  }, [selected, index >= 0]);
  const size = Math.max(1, range.end - range.first);
  const shown = rows.slice(range.first, range.end);
  const steps = ticks(view, whole.from, innerWidth < 800 ? 2 : 6);
  return (
    <div
      class="waterfall"
      role="treegrid"
      aria-label="Steps of this session"
      aria-rowcount={rows.length + 1}
      aria-activedescendant={index >= range.first && index < range.end ? `row-${selected}` : undefined}
      tabIndex={0}
      ref={element}
      onKeyDown={(event) => moves(event, { ...props, index, show })}
      onWheel={(event) => wheels(event, props)}
    >
      <div class="waterfall-head" role="row" aria-rowindex={1}>
        <span role="columnheader">Step</span>
        <span role="columnheader" class="right">
          Cost
        </span>
        <span role="columnheader" class="axis" aria-label="Time after the session's beginning">
          {steps.map((at) => (
            <i class="tick" style={{ left: `${((whole.from + at - view.from) / (view.to - view.from)) * 100}%` }}>
              {at === 0 ? "0" : duration(at * 1000)}
            </i>
          ))}
        </span>
      </div>
      <div class="waterfall-body" role="rowgroup" style={{ height: `${rows.length * ROW_PX}px` }}>
        {shown.map((row, at) => (
          <Line
            key={(range.first + at) % size}
            row={row}
            index={range.first + at}
            view={view}
            start={whole.from}
            now={row.span.outcome === "running" || row.waits.length ? now : 0}
            selected={row.span.span === selected}
            select={props.select}
            toggle={props.toggle}
          />
        ))}
      </div>
    </div>
  );
}

interface LineProps {
  row: Row;
  index: number;
  view: View;
  start: number;
  now: number;
  selected: boolean;
  select: (span: string) => void;
  toggle: (span: string, open: boolean) => void;
}

const Line = memo(function Line({ row, index, view, start, now, selected, select, toggle }: LineProps) {
  const { span } = row;
  const no = refused(span);
  return (
    <div
      id={`row-${span.span}`}
      class={`span-row${selected ? " selected" : ""}${no ? " refused" : ""}${row.context ? " context" : ""}`}
      role="row"
      aria-rowindex={index + 2}
      aria-level={row.depth + 1}
      aria-selected={selected}
      {...(row.children ? { "aria-expanded": row.open } : {})}
      style={{ transform: `translateY(${index * ROW_PX}px)` }}
      onClick={() => select(span.span)}
    >
      <span role="gridcell" class="step" style={{ paddingLeft: `${6 + Math.min(row.depth, 24) * 14}px` }}>
        <span
          class={`twist${row.children ? "" : " leaf"}`}
          aria-hidden="true"
          onClick={(event) => {
            if (!row.children) return;
            event.stopPropagation();
            toggle(span.span, !row.open);
          }}
        >
          {row.children ? <Icon name={row.open ? "down" : "right"} size={14} /> : null}
        </span>
        <span class={`kind ${kindIcon(span.kind)}`} title={span.kind}>
          <Icon name={kindIcon(span.kind)} size={14} />
        </span>
        <span class="name">{span.name || span.kind}</span>
        <Mark span={span} />
      </span>
      <span role="gridcell" class="right cost">
        {span.cost_micro_usd === null || span.kind === "run" ? "" : money(span.cost_micro_usd)}
      </span>
      <span role="gridcell" class="track" title={hover(span, start)}>
        <Bar row={row} view={view} now={now} no={no} />
      </span>
    </div>
  );
});

/** What was decided, where it is not simply allowed, and what came of it, where that is not simply well. */
function Mark({ span }: { span: Span }) {
  const effect = refused(span) && span.return_effect ? span.return_effect : span.effect;
  const would = span.would && span.would !== "allow" ? span.would : "";
  return (
    <>
      {effect && effect !== "allow" ? <span class={`mark ${effect}`}>{effectText(effect)}</span> : null}
      {would && effect === "allow" ? <span class="mark observed">would be {effectText(would)}</span> : null}
      {span.outcome === "failed" ? <span class="mark failed">failed</span> : null}
      {span.outcome === "unknown" ? <span class="mark unknown">outcome unknown</span> : null}
    </>
  );
}

function Bar({ row, view, now, no }: { row: Row; view: View; now: number; no: boolean }) {
  const { span, waits } = row;
  const end = span.ended ?? (span.outcome === "running" ? now : span.started);
  const at = bar(view, span.started, Math.max(end, span.started));
  if (!at) return null;
  const running = span.outcome === "running" ? " running" : "";
  const waited = waits.map((wait) => bar(view, wait.from, wait.to ?? Math.max(now, wait.from)));
  const after = Math.max(at.left + at.width, ...waited.map((part) => (part ? part.left + part.width : 0)));
  const beside = after > (no ? 55 : 78) ? { right: `${100 - at.left + 0.5}%` } : { left: `${after + 0.5}%` };
  const length = end - span.started;
  return (
    <>
      <span class={`bar ${no && span.outcome === "not run" ? "no" : kindIcon(span.kind)}${running}${no ? " no" : ""} ${span.outcome === "failed" ? "failed" : ""}`} style={{ left: `${at.left}%`, width: `${at.width}%` }} />
      {waits.map((wait, index) => {
        const part = waited[index];
        return part ? <span class={`wait ${wait.state}`} style={{ left: `${part.left}%`, width: `${part.width}%` }} /> : null;
      })}
      <span class={`beside${no ? " no" : ""}`} style={beside}>
        {no ? `${why(span)}` : `${waits.some((wait) => wait.to === null) ? "waits for a person" : duration(length * 1000)}`}
      </span>
    </>
  );
}

/** Which line of which policy refused. */
export function why(span: Span): string {
  const onReturn = span.return_effect === "deny" || span.return_effect === "halt";
  const policy = onReturn ? span.return_policy : span.policy;
  const rule = onReturn ? span.return_rule : span.rule;
  return `${onReturn ? "result withheld" : effectText(span.effect)} by ${policy || "default"}${rule ? ` (${rule})` : ""}`;
}

function hover(span: Span, start: number): string {
  const lines = [`${span.kind} ${span.name}`, `${offset(span.started - start)}, ${duration(span.duration_ms)}`];
  if (span.reason) lines.push(span.reason);
  if (span.error) lines.push(span.error);
  return lines.join("\n");
}

export function ZoomButtons({ setView, whole, zoomed, step }: { setView: (view: View) => void; whole: View; zoomed: boolean; step: (factor: number) => void }) {
  return (
    <span class="zoom" role="group" aria-label="Zoom">
      <Button small kind="quiet" aria-label="Zoom in" title="Zoom in (+)" onClick={() => step(0.5)}>
        +
      </Button>
      <Button small kind="quiet" aria-label="Zoom out" title="Zoom out (-)" onClick={() => step(2)}>
        −
      </Button>
      <Button small kind="quiet" disabled={!zoomed} title="Show all of it (0)" onClick={() => setView(whole)}>
        All
      </Button>
    </span>
  );
}

export function stepsText(n: number, total: number): string {
  return n === total ? plural(total, "step") : `${n.toLocaleString("en-US")} of ${plural(total, "step")}`;
}
