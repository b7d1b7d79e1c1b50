/** The shapes of docs/console-api.md. Fields at their defaults may be left out of a `Span`: `span()` fills them in. */

export type Effect = "allow" | "modify" | "escalate" | "deny" | "halt";
export type Role = "reporter" | "viewer" | "approver" | "operator" | "admin";
export type Severity = "info" | "warning" | "critical";

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface Fault {
  line: number | null;
  column: number | null;
  message: string;
  hint?: string | null;
  place?: string | null;
}

export interface Access {
  mode: "loopback" | "users";
  methods: string[];
  oidc: string | null;
  version: string;
}

export interface Me {
  name: string;
  role: Role;
  how: string;
  csrf: string | null;
  expires: number | null;
  mode: string;
  answers_as: string[];
}

export interface Behind {
  bytes: number;
  events: number;
  journals: number;
  problems: { journal: string; seq: number; problem: string }[];
  ingesting: "here" | "elsewhere" | "nowhere";
  last: number | null;
}

export interface Status {
  version: string;
  home: string;
  epoch: string;
  cursor: string;
  behind: Behind;
  bundle: { source: string; revision: string; mode: string; problem: string | null } | null;
  self_approval_possible: boolean;
  lost_events: number;
  started: number;
}

export interface Summary {
  running: number;
  pending_approvals: number;
  firing_alerts: number;
  unregistered_agents: number;
  cost_today_micro_usd: number;
  unpriced_today: number;
  lost_events: number;
  cursor: string;
}

/** What the journal's line has; `kind` says which fields there are (docs/events.md). */
export type EventBody = { kind: string; at: number } & Record<string, unknown>;

export interface StreamEvent {
  position: number;
  journal: string;
  seq: number;
  at: number;
  kind: string;
  session: string;
  agent: string;
  event: EventBody | null;
}

export interface Session {
  session: string;
  external_id: string;
  user: string;
  application: string;
  namespace: string;
  /** Told over OTLP after the acts: nothing judged them, and nothing here can hold them. */
  reported: boolean;
  labels: Record<string, string>;
  state: "running" | "open" | "ended" | "halted" | "crashed";
  agents: string[];
  started: number;
  ended: number | null;
  last_at: number;
  how: string;
  halted: boolean;
  paused: boolean;
  halt_reason: string;
  halt_policy: string;
  halt_rule: string;
  cost_micro_usd: number;
  unpriced: number;
  input_tokens: number;
  output_tokens: number;
  tokens: number;
  decisions: number;
  modified: number;
  escalated: number;
  denied: number;
  halts: number;
  would_deny: number;
  runs: number;
  model_calls: number;
  tool_runs: number;
  failures: number;
  unknown: number;
  running: number;
}

export interface Ceiling {
  scope: string;
  policy: string;
  unit: "usd" | "tokens" | "calls";
  cap: number;
  spent: number;
  held: number;
  session: boolean;
}

export interface Stop {
  who: string;
  why: string;
  at: number;
  pause: boolean;
}

export interface LiveSession extends Session {
  ceiling: Ceiling | null;
  rate: { step_s: number; until: number; micro_usd: number[] };
  micro_usd_per_min: number;
  exhausted_in_s: number | null;
  now: { span: string; kind: string; name: string; agent: string; started: number }[];
  waiting: string[];
  stop: Stop | null;
  alerts: { alert: string; rule: string; severity: Severity; state: string }[];
}

export interface Wait {
  approval: string;
  span: string;
  from: number;
  to: number | null;
  state: string;
}

export interface SessionDetail extends Session {
  cursor: string;
  ceiling: Ceiling | null;
  stop: Stop | null;
  reopened: { who: string; why: string } | null;
  waits: Wait[];
  events: number;
  spans: number;
}

export interface Span {
  span: string;
  parent: string;
  run: string;
  agent: string;
  kind: string;
  name: string;
  depth: number;
  started: number;
  ended: number | null;
  duration_ms: number | null;
  outcome: "completed" | "failed" | "unknown" | "running" | "not run" | "";
  error: string;
  effect: Effect | "";
  would: Effect | "" | null;
  mode: string;
  reason: string;
  policy: string;
  rule: string;
  return_effect: Effect | "";
  return_reason: string;
  return_policy: string;
  return_rule: string;
  model: string;
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  reasoning_tokens: number;
  estimated: boolean;
  cost_micro_usd: number | null;
  held_micro_usd: number;
  args: string;
  result: string;
  call_id: string;
  journal: string;
  seq: number;
  method: string;
  status: number;
  sent: number | null;
  received: number | null;
}

export interface Verdict {
  effect: Effect;
  reason: string;
  rule: string;
  policy: string;
  mode: string;
  findings?: { kind: string; place: string; confidence: number; note: string }[];
}

export interface SpanDetail {
  span: Partial<Span>;
  revision: string;
  verdicts: Verdict[];
  events: StreamEvent[];
  approvals: string[];
}

export interface Payload {
  digest: string;
  size: number;
  capture: string;
  cut: boolean;
  erased: boolean;
  value: unknown;
  messages: string[];
}

export interface GraphNode {
  id: string;
  kind: "agent" | "model" | "tool" | "host" | "retriever";
  name: string;
  calls: number;
  failures: number;
  denied: number;
  cost_micro_usd: number;
}

export interface GraphEdge {
  from: string;
  to: string;
  calls: number;
  failures: number;
  denied: number;
  cost_micro_usd: number;
}

export interface Graph {
  nodes: GraphNode[];
  edges: GraphEdge[];
}
