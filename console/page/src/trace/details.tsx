/** Everything on record of one step: who decided and why, what it took, what was kept of arguments and result. */

import { useState } from "preact/hooks";
import { get, getExact, segment } from "../api/client";
import type { Payload, Span, SpanDetail, StreamEvent } from "../api/types";
import { Button, Copy, EffectPill, Facts, Loading, Reported, StatePill, Trouble } from "../parts/basics";
import { Icon, kindIcon } from "../parts/icons";
import { Json } from "../parts/json";
import { bytes, count, duration, money, offset, short, time } from "../format";
import { agentPath } from "../router";
import { useLoad } from "../state/load";
import { summary } from "./replay";
import { refused } from "./spans";

interface Props {
  session: string;
  /** Told after the act: then there is no decision to show. */
  reported: boolean;
  span: Span;
  start: number;
  close: () => void;
}

export function Details({ session, reported, span, start, close }: Props) {
  const key = `${session}/${span.span}/${span.outcome}`;
  const loaded = useLoad<SpanDetail>(key, (signal) => get(`/sessions/${segment(session)}/spans/${segment(span.span)}`, {}, signal));
  return (
    <aside class="details" aria-label="The chosen step">
      <header>
        <span class={`kind ${kindIcon(span.kind)}`}>
          <Icon name={kindIcon(span.kind)} />
        </span>
        <h2 title={span.name}>{span.name || span.kind}</h2>
        <Button kind="quiet" small icon="close" aria-label="Close" onClick={close} />
      </header>
      <p class="details-state">
        <code>{span.kind}</code>
        {reported ? <Reported text="reported, not judged" /> : span.effect ? <EffectPill effect={span.effect} /> : null}
        {span.would && span.would !== "allow" && span.would !== span.effect ? <EffectPill effect={span.would} observed /> : null}
        {span.outcome ? <StatePill state={span.outcome} /> : null}
      </p>
      {!reported && (refused(span) || span.reason) ? <Why span={span} /> : null}
      {span.error ? <p class="error-text">{span.error}</p> : null}
      <Facts items={facts(span, start)} />
      <PayloadPart title="Arguments" digest={span.args} />
      <PayloadPart title="Result" digest={span.result} />
      {loaded.problem && !loaded.data ? <Trouble problem={loaded.problem} again={loaded.again} /> : null}
      {loaded.data ? <OnRecord detail={loaded.data} /> : loaded.problem ? null : <Loading rows={3} />}
    </aside>
  );
}

function Why({ span }: { span: Span }) {
  const onReturn = span.return_effect !== "" && span.return_effect !== "allow";
  const policy = onReturn ? span.return_policy : span.policy;
  const rule = onReturn ? span.return_rule : span.rule;
  return (
    <div class={`why${refused(span) ? " no" : ""}`}>
      <p>{onReturn ? span.return_reason : span.reason}</p>
      {policy ? (
        <p class="muted">
          {onReturn ? "of its result, by " : "by "}
          <a href={`/policies?policy=${encodeURIComponent(policy)}`}>{policy}</a>
          {rule ? ` (${rule})` : ""}
        </p>
      ) : null}
    </div>
  );
}

function facts(span: Span, start: number): [string, preact.ComponentChildren][] {
  const tokens = span.input_tokens || span.output_tokens;
  return [
    ["agent", <a href={agentPath(span.agent.split("@")[0] ?? "")}>{span.agent}</a>],
    ["started", `${offset(span.started - start)} (${time(span.started)})`],
    ["took", span.duration_ms === null ? "" : duration(span.duration_ms)],
    ["model", span.model],
    ["tokens", tokens ? `${count(span.input_tokens)} in, ${count(span.output_tokens)} out${span.estimated ? " (estimated)" : ""}` : ""],
    ["from cache", span.cache_read_tokens ? count(span.cache_read_tokens) : ""],
    ["reasoning", span.reasoning_tokens ? count(span.reasoning_tokens) : ""],
    ["cost", span.cost_micro_usd === null ? (span.kind === "model.call" && span.outcome === "completed" ? "unpriced" : "") : money(span.cost_micro_usd)],
    ["held", span.held_micro_usd ? money(span.held_micro_usd) : ""],
    ["request", span.method ? `${span.method}${span.status ? ` → ${span.status}` : ""}` : ""],
    ["sent", span.sent === null ? "" : bytes(span.sent)],
    ["received", span.received === null ? "" : bytes(span.received)],
    ["call", span.call_id ? <code>{span.call_id}</code> : ""],
    ["span", <Id text={span.span} />],
    ["run", <Id text={span.run} />],
  ];
}

function Id({ text }: { text: string }) {
  return text ? (
    <span class="id">
      <code title={text}>{short(text, 16)}</code>
      <Copy text={text} label="Copy the id" />
    </span>
  ) : null;
}

/** Payloads can be large and personal: loaded only when somebody asks. */
function PayloadPart({ title, digest }: { title: string; digest: string }) {
  const [asked, ask] = useState("");
  const loaded = useLoad<Payload>(asked && asked === digest ? `payload ${digest}` : null, (signal) => getExact(`/payloads/${segment(digest)}`, (payload, exactly) => ({ ...payload, value: exactly.value }), signal));
  if (!digest) return null;
  return (
    <section class="payload">
      <h3>
        {title}
        {asked === digest ? null : (
          <Button small onClick={() => ask(digest)}>
            Show
          </Button>
        )}
      </h3>
      {loaded.problem && asked === digest ? (
        loaded.problem.status === 404 ? (
          <p class="muted">Nothing is kept of it: the bundle's <code>capture</code> decides what is.</p>
        ) : (
          <Trouble problem={loaded.problem} again={loaded.again} />
        )
      ) : null}
      {loaded.data ? <Kept payload={loaded.data} /> : null}
    </section>
  );
}

function Kept({ payload }: { payload: Payload }) {
  if (payload.erased) return <p class="muted">It was erased; the record of it stays.</p>;
  return (
    <>
      <Json value={payload.value} />
      <p class="muted">
        {bytes(payload.size)}, {payload.capture}
        {payload.cut ? ", cut" : ""}
      </p>
    </>
  );
}

function OnRecord({ detail }: { detail: SpanDetail }) {
  return (
    <>
      {detail.verdicts.length ? (
        <section>
          <h3>Verdicts</h3>
          <ul class="verdicts">
            {detail.verdicts.map((verdict) => (
              <li>
                <EffectPill effect={verdict.effect} observed={verdict.mode === "observe"} />
                <div>
                  <a href={`/policies?policy=${encodeURIComponent(verdict.policy)}`}>{verdict.policy || "default"}</a>
                  {verdict.rule ? <span class="muted"> {verdict.rule}</span> : null}
                  <p>{verdict.reason}</p>
                  {verdict.findings?.map((finding) => (
                    <p class="muted">
                      {finding.kind} in {finding.place} {finding.note}
                    </p>
                  ))}
                </div>
              </li>
            ))}
          </ul>
        </section>
      ) : null}
      {detail.revision ? (
        <p class="muted">
          under revision <a href={`/policies?tab=revisions&revision=${detail.revision}`}>{short(detail.revision, 12)}</a>
        </p>
      ) : null}
      {detail.approvals.map((approval) => (
        <p>
          <a href={`/approvals/${approval}`}>The approval that it {detail.span.outcome === "running" ? "waits for" : "rests on"}</a>
        </p>
      ))}
      <section>
        <h3>Events</h3>
        {detail.events.map((event) => (
          <EventLine event={event} />
        ))}
      </section>
    </>
  );
}

export function EventLine({ event }: { event: StreamEvent }) {
  return (
    <details class="event">
      <summary>
        <time>{time(event.at)}</time> <span>{summary(event)}</span>
      </summary>
      {event.event ? <Json value={event.event} /> : <p class="muted">It is large: GET /api/v1/events/{event.position} has it.</p>}
    </details>
  );
}
