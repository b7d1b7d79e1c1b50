/** The spans of one session, by id: loaded once, then kept up by the stream's events. */

import type { Effect, Span, StreamEvent, Wait } from "../api/types";

const BLANK: Span = {
  span: "",
  parent: "",
  run: "",
  agent: "",
  kind: "",
  name: "",
  depth: 0,
  started: 0,
  ended: null,
  duration_ms: null,
  outcome: "",
  error: "",
  effect: "",
  would: "",
  mode: "",
  reason: "",
  policy: "",
  rule: "",
  return_effect: "",
  return_reason: "",
  return_policy: "",
  return_rule: "",
  model: "",
  input_tokens: 0,
  output_tokens: 0,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
  reasoning_tokens: 0,
  estimated: false,
  cost_micro_usd: null,
  held_micro_usd: 0,
  args: "",
  result: "",
  call_id: "",
  journal: "",
  seq: 0,
  method: "",
  status: 0,
  sent: null,
  received: null,
};

/** A span with the fields that were left out because they have their default. */
export function whole(part: Partial<Span>): Span {
  return { ...BLANK, ...part };
}

export function refused(span: Span): boolean {
  return isRefusal(span.effect) || isRefusal(span.return_effect);
}

function isRefusal(effect: string): boolean {
  return effect === "deny" || effect === "halt";
}

export type Filter = "all" | "denied" | "asked" | "failed" | "unknown";

export const FILTERS: Record<Filter, (span: Span) => boolean> = {
  all: () => true,
  denied: refused,
  asked: (span) => span.effect === "escalate" || span.return_effect === "escalate",
  failed: (span) => span.outcome === "failed",
  unknown: (span) => span.outcome === "unknown",
};

export class Spans {
  readonly byId = new Map<string, Span>();
  waits: Wait[] = [];
  /** Counted up with every change. */
  version = 0;

  load(parts: Partial<Span>[]): void {
    for (const part of parts) if (part.span) this.byId.set(part.span, whole(part));
    this.version += 1;
  }

  list(): Span[] {
    return [...this.byId.values()];
  }

  /** Take one event in; false where it says nothing of spans. Taking one twice changes nothing. */
  take(item: StreamEvent): boolean {
    const event = item.event;
    if (!event) return false;
    const changed = this.#take(item, event as unknown as Record<string, never>);
    if (changed) this.version += 1;
    return changed;
  }

  #take(item: StreamEvent, event: Record<string, never>): boolean {
    switch (item.kind) {
      case "run_started":
        this.#start(item, event, { kind: "run", name: String(event["agent"] ?? ""), depth: Number(event["depth"] ?? 0) });
        return true;
      case "run_ended":
        return this.#end(item, event, event["error"] ? "failed" : "completed");
      case "decided":
        return this.#decided(item, event);
      case "completed":
        return this.#end(item, event, "completed");
      case "failed":
        return this.#end(item, event, event["error"] === "outcome unknown" ? "unknown" : "failed");
      case "approval_requested":
        return this.#wait(event, item.at);
      case "approval_approved":
      case "approval_denied":
      case "approval_expired":
        return this.#answered(event, item.at, item.kind.slice("approval_".length));
      default:
        return false;
    }
  }

  #start(item: StreamEvent, event: Record<string, never>, more: Partial<Span>): void {
    const id = String(event["span"]);
    const before = this.byId.get(id);
    if (before && before.started) more = { ...more, ended: before.ended, outcome: before.outcome };
    this.byId.set(id, {
      ...(before ?? BLANK),
      span: id,
      parent: event["parent"] ?? "",
      run: event["run"] ?? "",
      agent: event["agent"] ?? "",
      started: before?.started || item.at,
      outcome: "running",
      journal: item.journal,
      seq: item.seq,
      ...more,
    });
  }

  #decided(item: StreamEvent, event: Record<string, never>): boolean {
    const effect = String(event["effect"] ?? "") as Effect;
    const action = String(event["action"] ?? "");
    const before = this.byId.get(String(event["span"]));
    const why = { reason: event["reason"] ?? "", policy: event["policy"] ?? "", rule: event["rule"] ?? "" };
    if (before && before.kind !== action && (action.endsWith(".return") || action === "output")) {
      this.byId.set(before.span, {
        ...before,
        return_effect: effect,
        return_reason: why.reason,
        return_policy: why.policy,
        return_rule: why.rule,
      });
      return true;
    }
    // An act that waits for a person is not run either, unless a later line says that it was.
    const stopped = (isRefusal(effect) || effect === "escalate") && event["mode"] !== "observe";
    this.#start(item, event, {
      ...why,
      kind: action,
      name: event["resource"] ?? "",
      effect,
      would: event["would"] ?? "",
      mode: event["mode"] ?? "enforce",
      args: event["args"] ?? "",
      call_id: event["call_id"] ?? "",
      depth: before?.depth ?? 0,
    });
    const span = this.byId.get(String(event["span"]));
    if (span && stopped) this.byId.set(span.span, { ...span, outcome: "not run", ended: item.at, duration_ms: 0 });
    return true;
  }

  #end(item: StreamEvent, event: Record<string, never>, outcome: Span["outcome"]): boolean {
    const before = this.byId.get(String(event["span"]));
    if (!before) return false;
    const usage = (event["usage"] ?? {}) as Record<string, number>;
    const cost = event["cost"] as { micro_usd?: number } | undefined;
    this.byId.set(before.span, {
      ...before,
      outcome,
      ended: item.at,
      duration_ms: event["duration_ms"] ?? (item.at - before.started) * 1000,
      error: event["error"] ?? "",
      model: event["model"] ?? before.model,
      result: event["result"] ?? before.result,
      input_tokens: usage["input"] ?? before.input_tokens,
      output_tokens: usage["output"] ?? before.output_tokens,
      cost_micro_usd: cost?.micro_usd ?? before.cost_micro_usd,
    });
    return true;
  }

  #wait(event: Record<string, never>, at: number): boolean {
    const approval = String(event["approval"]);
    if (this.waits.some((wait) => wait.approval === approval && wait.span === event["span"])) return false;
    this.waits = [...this.waits, { approval, span: String(event["span"]), from: at, to: null, state: "pending" }];
    return true;
  }

  #answered(event: Record<string, never>, at: number, state: string): boolean {
    const open = (wait: Wait) => wait.approval === event["approval"] && wait.to === null;
    if (!this.waits.some(open)) return false;
    this.waits = this.waits.map((wait) => (open(wait) ? { ...wait, to: at, state } : wait));
    return true;
  }
}

/** The session as it was at a time (replay): what had not begun is not there, what had not ended runs. */
export function asOf(spans: Span[], at: number): Span[] {
  return spans
    .filter((span) => span.started <= at)
    .map((span) =>
      span.ended !== null && span.ended <= at
        ? span
        : {
            ...span,
            ended: span.outcome === "not run" ? span.ended : null,
            duration_ms: null,
            outcome: span.outcome === "not run" ? span.outcome : "running",
            error: "",
            cost_micro_usd: null,
            output_tokens: 0,
            return_effect: "",
          },
    );
}

/** Waits as they were at a time. */
export function waitsAsOf(waits: Wait[], at: number): Wait[] {
  return waits.filter((wait) => wait.from <= at).map((wait) => (wait.to !== null && wait.to > at ? { ...wait, to: null, state: "pending" } : wait));
}
