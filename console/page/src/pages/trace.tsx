/** One session: what it did, step by step, with every decision on its bar. */

import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { may, segment } from "../api/client";
import type { SessionDetail } from "../api/types";
import { Button, Empty, Loading, Meter, Reported, StatePill, Tabs, Trouble } from "../parts/basics";
import { count, duration, inUnit, moneyWith, plural, sessionName, short, time } from "../format";
import { amend, agentPath, place } from "../router";
import { Title } from "../frame/title";
import { useCell } from "../state/cell";
import { stream } from "../state/connection";
import { now } from "../state/now";
import { Details } from "../trace/details";
import { GraphTab } from "../trace/graph";
import { Overview } from "../trace/overview";
import { Replay } from "../trace/replay";
import { above, rows } from "../trace/rows";
import { extent, zoom, type View } from "../trace/scale";
import { asOf, FILTERS, waitsAsOf, type Filter } from "../trace/spans";
import { TraceStore } from "../trace/store";
import { stepsText, Waterfall, ZoomButtons } from "../trace/waterfall";
import { act } from "./acts";

export function TracePage({ session }: { session: string }) {
  const store = useMemo(() => new TraceStore(session), [session]);
  useEffect(() => {
    store.open(stream);
    return () => store.close();
  }, [store]);
  const detail = useCell(store.detail);
  const problem = useCell(store.problem);
  const complete = useCell(store.complete);
  const tab = useCell(place).query.get("tab") === "graph" ? "graph" : "waterfall";
  if (problem && !detail) {
    return (
      <>
        <Title text="Trace" back="/sessions" />
        <Trouble problem={problem} again={() => store.again()} />
      </>
    );
  }
  return (
    <div class="trace-page">
      {detail ? <Head detail={detail} /> : <Title text="Trace" back="/sessions" />}
      {problem ? <Trouble problem={problem} /> : null}
      <Tabs
        label="Ways to see this session"
        tabs={[
          { id: "waterfall", text: "Waterfall" },
          { id: "graph", text: "Graph" },
        ]}
        at={tab}
        choose={(id) => amend({ tab: id === "waterfall" ? null : id })}
      />
      {tab === "graph" && detail ? (
        <GraphTab session={detail.session} running={detail.state === "running"} />
      ) : complete && detail ? (
        <Steps store={store} detail={detail} />
      ) : (
        <Loading rows={14} />
      )}
    </div>
  );
}

function Standing({ detail }: { detail: SessionDetail }) {
  return (
    <>
      <StatePill state={detail.paused ? "paused" : detail.state} />
      {detail.reported ? <Reported /> : null}
    </>
  );
}

function Head({ detail }: { detail: SessionDetail }) {
  const present = useCell(now);
  const ended = detail.ended ?? (detail.state === "running" ? present : detail.last_at);
  const name = sessionName(detail);
  return (
    <>
      <Title text={name} back="/sessions" pill={<Standing detail={detail} />}>
        <Control detail={detail} />
      </Title>
      <p class="subtitle">
        <span class="mono">{short(detail.session, 12)}</span>
        {detail.agents.map((agent) => (
          <a href={agentPath(agent.split("@")[0] ?? "")}>{agent}</a>
        ))}
        {detail.user ? <span>for {detail.user}</span> : null}
        <span>{time(detail.started)}</span>
        {Object.entries(detail.labels).map(([key, value]) => (
          <span class="label">
            {key}={value}
          </span>
        ))}
      </p>
      {detail.reported ? <p class="banner told">Reported over OTLP, not judged: nothing of Jackline's stood before these acts, so this session cannot be paused or stopped here.</p> : null}
      {detail.halted && detail.halt_reason ? (
        <p class="banner bad">
          {detail.paused ? "Paused" : "Halted"}: {detail.halt_reason}
          {detail.halt_policy ? ` (${detail.halt_policy}${detail.halt_rule ? `, ${detail.halt_rule}` : ""})` : ""}
        </p>
      ) : null}
      <dl class="numbers">
        <Figure name="Took" value={duration((ended - detail.started) * 1000)} />
        <Figure name="Cost" value={moneyWith(detail.cost_micro_usd, detail.unpriced)}>
          {detail.ceiling ? (
            <Meter
              spent={detail.ceiling.spent}
              held={detail.ceiling.held}
              cap={detail.ceiling.cap}
              label={`${inUnit(detail.ceiling.spent, detail.ceiling.unit)} of ${inUnit(detail.ceiling.cap, detail.ceiling.unit)} (${detail.ceiling.policy})`}
            />
          ) : null}
        </Figure>
        <Figure name="Tokens" value={count(detail.tokens)} />
        <Figure name="Model calls" value={count(detail.model_calls)} />
        <Figure name="Tool runs" value={count(detail.tool_runs)} />
        {detail.reported ? (
          <Figure name="Acts reported" value={count(detail.decisions)} />
        ) : (
          <>
            <Figure name="Decisions" value={count(detail.decisions)} />
            <Figure name="Denied" value={count(detail.denied)} bad={detail.denied > 0} />
          </>
        )}
        <Figure name="Failed" value={count(detail.failures)} bad={detail.failures > 0} />
      </dl>
    </>
  );
}

function Figure({ name, value, bad, children }: { name: string; value: string | number; bad?: boolean; children?: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={bad ? "bad-text" : ""}>
        {value}
        {children}
      </dd>
    </div>
  );
}

function Control({ detail }: { detail: SessionDetail }) {
  if (!may("operator")) return null;
  const address = `/sessions/${segment(detail.session)}`;
  if (detail.halted || detail.stop) {
    return <Button onClick={() => void act(`${address}/reopen`, "Reopen this session", "Its agents may act again.", "Reopen", "Reopened")}>Reopen</Button>;
  }
  if (detail.reported || (detail.state !== "running" && detail.state !== "open")) return null;
  return (
    <>
      <Button icon="pause" onClick={() => void act(`${address}/pause`, "Pause this session", "No act starts until somebody reopens it.", "Pause", "Paused")}>
        Pause
      </Button>
      <Button kind="danger" icon="stop" onClick={() => void act(`${address}/stop`, "Stop this session", "No act starts after this; what has begun is recorded.", "Stop", "Stopped", true)}>
        Stop
      </Button>
    </>
  );
}

const NAMES: Record<Filter, string> = { all: "All steps", denied: "Only denied", asked: "Only asked", failed: "Only failed", unknown: "Only unknown" };

function Steps({ store, detail }: { store: TraceStore; detail: SessionDetail }) {
  const version = useCell(store.version);
  const { query } = useCell(place);
  const live = detail.state === "running";
  const ticking = useCell(now);
  const [collapsed, setCollapsed] = useState<ReadonlySet<string>>(new Set());
  const [replayed, setReplayed] = useState<number | null>(null);
  const [seen, setSeen] = useState<View | null>(null);
  const filter = (query.get("only") ?? "all") as Filter;
  const selected = query.get("span") ?? "";
  const replaying = query.get("replay") === "1";
  const list = useMemo(() => store.spans.list(), [version]);
  const spans = useMemo(() => (replayed === null ? list : asOf(list, replayed)), [list, replayed]);
  const waits = useMemo(() => (replayed === null ? store.spans.waits : waitsAsOf(store.spans.waits, replayed)), [detail, version, replayed]);
  const present = replayed ?? (live ? ticking : (detail.ended ?? detail.last_at));
  const whole = useMemo(() => extent(list, live ? ticking : detail.last_at), [list, live && ticking]);
  const view = seen ?? whole;
  const shown = useMemo(
    () => rows(spans, waits, { collapsed, fits: filter === "all" ? null : (FILTERS[filter] ?? null) }),
    [spans, waits, collapsed, filter],
  );
  const select = useCallback((span: string) => amend({ span }), []);
  const toggle = useCallback((span: string, open: boolean) => {
    setCollapsed((before) => {
      const next = new Set(before);
      if (open) next.delete(span);
      else next.add(span);
      return next;
    });
  }, []);
  useEffect(() => {
    if (!selected) return;
    const hidden = above(store.spans.byId, selected).filter((id) => collapsed.has(id));
    if (hidden.length) setCollapsed(new Set([...collapsed].filter((id) => !hidden.includes(id))));
  }, [selected]);
  const setView = (next: View) => setSeen(next.to - next.from >= (whole.to - whole.from) * 0.999 ? null : next);
  const chosen = store.spans.byId.get(selected);
  return (
    <div class={`steps${chosen ? " with-details" : ""}`}>
      <div class="toolbar">
        <select aria-label="Which steps" value={filter} onChange={(event) => amend({ only: event.currentTarget.value === "all" ? null : event.currentTarget.value })}>
          {Object.entries(NAMES).map(([id, text]) => (
            <option value={id}>
              {text}
              {id === "all" ? "" : ` (${list.filter(FILTERS[id as Filter]).length})`}
            </option>
          ))}
        </select>
        {detail.reported ? null : <label class="switch">
          <input type="checkbox" checked={filter === "denied"} onChange={(event) => amend({ only: event.currentTarget.checked ? "denied" : null })} />
          Only denied
        </label>}
        <span class="muted">{stepsText(shown.length, list.length)}</span>
        <span class="grow" />
        <Legend reported={detail.reported} />
        <ZoomButtons whole={whole} zoomed={seen !== null} setView={setView} step={(factor) => setView(zoom(view, whole, factor, 0.5))} />
        <Button small icon="play" aria-pressed={replaying} onClick={() => amend({ replay: replaying ? null : "1" })}>
          Replay
        </Button>
      </div>
      {replaying ? <Replay session={detail.session} start={whole.from} show={setReplayed} select={select} /> : null}
      <Overview spans={spans} waits={waits} whole={whole} view={view} now={present} setView={setView} />
      {shown.length ? (
        <Waterfall rows={shown} view={view} whole={whole} now={present} selected={selected} select={select} toggle={toggle} setView={setView} />
      ) : (
        <Empty title={filter === "all" ? "No steps yet" : "No such steps"}>
          {filter === "all" ? "They appear as soon as an agent of this session acts." : `${plural(list.length, "step")} of this session are of another kind.`}
        </Empty>
      )}
      {chosen ? <Details key={chosen.span} session={detail.session} reported={detail.reported} span={chosen} start={whole.from} close={() => amend({ span: null })} /> : null}
    </div>
  );
}

function Legend({ reported }: { reported: boolean }) {
  return (
    <span class="legend" aria-label="Legend">
      <i class="swatch model" /> model
      <i class="swatch tool" /> tool
      {reported ? null : (
        <>
          <i class="swatch hatched" /> waits for a person
          <i class="swatch no" /> denied
        </>
      )}
    </span>
  );
}

