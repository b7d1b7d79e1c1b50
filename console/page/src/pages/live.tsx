/** What runs now: one row for each session, drawn alone when it changes. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { may, segment } from "../api/client";
import type { LiveSession } from "../api/types";
import type { Problem } from "../api/client";
import { Button, Empty, Loading, Meter, Pill, Reported, severityTone, StatePill, Trouble } from "../parts/basics";
import { Sparkline } from "../parts/sparkline";
import { Icon, kindIcon } from "../parts/icons";
import { memo } from "../parts/memo";
import { useWindow } from "../parts/window";
import { count, inUnit, money, moneyWith, sessionName, single } from "../format";
import { Title } from "../frame/title";
import { agentPath, amend, go, place, sessionPath } from "../router";
import { type Cell, useCell } from "../state/cell";
import { stream } from "../state/connection";
import { followLive, LiveStore, type Order } from "../state/live";
import { now } from "../state/now";
import { asProblem } from "../state/problem";
import { act } from "./acts";

const ROW_PX = 52;

const ORDERS: Record<Order, string> = { started: "Latest first", cost: "Dearest first", rate: "Fastest spending first", used: "Nearest to its ceiling", agent: "By agent" };

export function LivePage() {
  const store = useMemo(() => new LiveStore(), []);
  const [problem, setProblem] = useState<Problem | null>(null);
  useEffect(() => followLive(store, stream, (error) => setProblem(asProblem(error))), [store]);
  const { query } = useCell(place);
  const order = (query.get("sort") ?? "started") as Order;
  const text = query.get("q") ?? "";
  useEffect(() => store.sort(order in ORDERS ? order : "started", matching(text)), [store, order, text]);
  const ids = useCell(store.order);
  const loaded = useCell(store.loaded);
  return (
    <div class="live-page">
      <Title text="Live">
        <input type="search" placeholder="Agent, session or user" aria-label="Show only sessions with" value={text} onInput={(event) => amend({ q: event.currentTarget.value })} />
        <select aria-label="Order" value={order} onChange={(event) => amend({ sort: event.currentTarget.value === "started" ? null : event.currentTarget.value })}>
          {Object.entries(ORDERS).map(([id, name]) => (
            <option value={id}>{name}</option>
          ))}
        </select>
      </Title>
      {problem && !loaded ? <Trouble problem={problem} /> : null}
      {loaded ? <Totals store={store} /> : null}
      {!loaded ? problem ? null : <Loading rows={8} /> : ids.length ? <Rows store={store} ids={ids} /> : <Nothing filtered={text !== "" && store.sessions.size > 0} />}
    </div>
  );
}

function matching(text: string): (session: LiveSession) => boolean {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return () => true;
  return (session) => [session.external_id, session.session, session.user, ...session.agents].some((field) => field.toLowerCase().includes(wanted));
}

function Nothing({ filtered }: { filtered: boolean }) {
  if (filtered) return <Empty title="No session fits">Sessions run, but none with this agent, id or user.</Empty>;
  return (
    <Empty title="Nothing runs" icon="live">
      <p>Sessions appear here as soon as a governed agent starts. In your agent's program:</p>
      <pre class="json">{'import jackline\njackline.init("jackline.yaml")'}</pre>
      <p>
        Sessions that ended are under <a href="/sessions">Trace</a>. To see the console at work, type <code>jackline demo</code>.
      </p>
    </Empty>
  );
}

function Totals({ store }: { store: LiveStore }) {
  useCell(now);
  const { running, micro_usd, micro_usd_per_min, waiting } = store.totals();
  return (
    <dl class="numbers">
      <div>
        <dt>Running</dt>
        <dd>{count(running)}</dd>
      </div>
      <div>
        <dt>Spent in all</dt>
        <dd>{money(micro_usd)}</dd>
      </div>
      <div>
        <dt>In the last minute</dt>
        <dd>{money(Math.round(micro_usd_per_min))}</dd>
      </div>
      <div>
        <dt>Waiting for people</dt>
        <dd class={waiting ? "warn-text" : ""}>{count(waiting)}</dd>
      </div>
    </dl>
  );
}

function Rows({ store, ids }: { store: LiveStore; ids: string[] }) {
  const { element, range, show } = useWindow<HTMLDivElement>(ROW_PX, ids.length);
  const [chosen, choose] = useState("");
  const at = ids.indexOf(chosen);
  const keys = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget) return;
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (step) {
      const next = Math.max(0, Math.min(ids.length - 1, at + step));
      choose(ids[next] ?? "");
      show(next);
      event.preventDefault();
    } else if (event.key === "Enter" && chosen) go(sessionPath(chosen));
  };
  return (
    <div class="live" role="table" aria-label="Sessions" aria-rowcount={ids.length + 1} tabIndex={0} ref={element} onKeyDown={keys}>
      <div class="live-head live-grid" role="row" aria-rowindex={1}>
        {["Session", "Agent", "Age", "Spent of its ceiling", "Per minute", "Now", "Alerts", ""].map((name) => (
          <span role="columnheader">{name}</span>
        ))}
      </div>
      <div class="live-body" role="rowgroup" style={{ height: `${ids.length * ROW_PX}px` }}>
        {ids.slice(range.first, range.end).map((id, index) => {
          const cell = store.sessions.get(id);
          return cell ? <Row key={id} cell={cell} index={range.first + index} chosen={id === chosen} /> : null;
        })}
      </div>
    </div>
  );
}

const Row = memo(function Row({ cell, index, chosen }: { cell: Cell<LiveSession>; index: number; chosen: boolean }) {
  const session = useCell(cell);
  const over = session.ended !== null;
  return (
    <div class={`live-row live-grid${chosen ? " selected" : ""}${over ? " over" : ""}`} role="row" aria-rowindex={index + 2} style={{ transform: `translateY(${index * ROW_PX}px)` }}>
      <span role="cell" class="two">
        <a class="strong" href={sessionPath(session.session)}>
          {sessionName(session)}
        </a>
        <small>
          {session.reported ? <Reported /> : null} {session.user ? `for ${session.user}` : session.application}
          {session.denied ? <b class="bad-text"> · {count(session.denied)} denied</b> : null}
        </small>
      </span>
      <span role="cell" class="two agents-cell">
        {session.agents.slice(0, 1).map((agent) => (
          <a href={agentPath(agent.split("@")[0] ?? "")}>{agent}</a>
        ))}
        {session.agents.length > 1 ? <small>and {session.agents.length - 1} more</small> : null}
      </span>
      <span role="cell" class="num">
        <Age session={session} />
      </span>
      <span role="cell" class="two">
        <Spent session={session} />
      </span>
      <span role="cell" class="rate">
        <Sparkline values={session.rate.micro_usd} label={`${money(Math.round(session.micro_usd_per_min))} in the last minute`} />
        <small class={session.exhausted_in_s !== null && session.exhausted_in_s < 120 ? "bad-text" : ""}>
          {session.exhausted_in_s !== null && session.exhausted_in_s < 3600 ? `empty in ${single(session.exhausted_in_s)}` : money(Math.round(session.micro_usd_per_min))}
        </small>
      </span>
      <span role="cell" class="two">
        <Doing session={session} />
      </span>
      <span role="cell" class="pills">
        {session.alerts.slice(0, 2).map((alert) => (
          <a href="/alerts">
            <Pill tone={severityTone(alert.severity)}>{alert.rule}</Pill>
          </a>
        ))}
        {session.alerts.length > 2 ? <Pill>+{session.alerts.length - 2}</Pill> : null}
      </span>
      <span role="cell" class="row-actions">
        <Actions session={session} />
      </span>
    </div>
  );
});

function Age({ session }: { session: LiveSession }) {
  const present = useCell(now);
  return <>{single((session.ended ?? present) - session.started)}</>;
}

function Spent({ session }: { session: LiveSession }) {
  const { ceiling } = session;
  if (!ceiling) {
    return (
      <>
        <span class="num left">{moneyWith(session.cost_micro_usd, session.unpriced)}</span>
        <small>{session.reported ? "nothing limits it" : "no ceiling"}</small>
      </>
    );
  }
  const told = `${inUnit(ceiling.spent, ceiling.unit)} of ${inUnit(ceiling.cap, ceiling.unit)}`;
  return (
    <>
      <span class="num left">{told}</span>
      <Meter spent={ceiling.spent} held={ceiling.held} cap={ceiling.cap} label={`${told}${ceiling.held ? `, ${inUnit(ceiling.held, ceiling.unit)} held` : ""} (${ceiling.policy}${ceiling.session ? "" : ", shared with others"})`} />
    </>
  );
}

function Doing({ session }: { session: LiveSession }) {
  const waits = session.waiting[0];
  if (waits && !session.halted && session.ended === null) {
    return (
      <a class="waits" href={`/approvals/${waits}`}>
        <Icon name="approval" size={14} /> waits for a person
      </a>
    );
  }
  if (session.stop && !session.halted) return <Pill tone="warn">{session.stop.pause ? "pausing" : "stopping"}</Pill>;
  const step = session.now.at(-1);
  if (session.state !== "running" || !step) return <StatePill state={session.paused ? "paused" : session.state} />;
  return (
    <>
      <span class="doing">
        <Icon name={kindIcon(step.kind)} size={14} />
        <span>{step.name}</span>
      </span>
      <small>{session.running > 1 ? `and ${session.running - 1} more` : step.kind}</small>
    </>
  );
}

function Actions({ session }: { session: LiveSession }) {
  if (!may("operator") || session.ended !== null || session.reported) return null;
  const address = `/sessions/${segment(session.session)}`;
  const name = sessionName(session);
  if (session.halted || session.stop) {
    return (
      <Button small onClick={() => void act(`${address}/reopen`, `Reopen ${name}`, "Its agents may act again.", "Reopen", `${name} is open again`)}>
        Reopen
      </Button>
    );
  }
  return (
    <>
      <Button small icon="pause" aria-label={`Pause ${name}`} title="Pause" onClick={() => void act(`${address}/pause`, `Pause ${name}`, "No act starts until somebody reopens it.", "Pause", `${name} is paused`)} />
      <Button small kind="danger" icon="stop" aria-label={`Stop ${name}`} title="Stop" onClick={() => void act(`${address}/stop`, `Stop ${name}`, "No act starts after this; what has begun is recorded.", "Stop", `${name} is stopped`, true)} />
    </>
  );
}
