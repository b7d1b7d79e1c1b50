/** The shapes of docs/console-api.md that one page alone uses. */

import type { Effect, Fault, Severity, StreamEvent } from "./types";

export interface ToolView {
  name: string;
  fingerprint: string;
  status: "known" | "new" | "changed";
  permitted: boolean;
  permitted_fingerprint: string;
  not_permitted_since: number | null;
  read_only: boolean | null;
  provider: string;
  suspended: boolean;
  first_seen: number | null;
  last_seen: number | null;
  calls: number;
  failures: number;
  denials: number;
}

export interface AgentView {
  name: string;
  status: "seen" | "active" | "suspended" | "retired";
  managed: boolean;
  /** Seen by what it reports alone. */
  reported: boolean;
  team: string;
  environment: string;
  labels: Record<string, string>;
  versions: {
    version: string;
    key: string;
    framework: string;
    framework_version: string;
    revision: string;
    first_seen: number;
    last_seen: number;
  }[];
  models: string[];
  declared: { tools?: Record<string, string | null>; models?: string[] };
  tools: ToolView[];
  drift: { kind: string; name: string; message: string }[];
  policies: string[] | null;
  first_seen: number | null;
  last_seen: number | null;
  cost_micro_usd: number;
  unpriced: number;
  recent: {
    days: number;
    cost_micro_usd: number;
    unpriced: number;
    decisions: number;
    denied: number;
    denial_rate: number | null;
    sessions: number;
  };
}

export interface ConditionSchema {
  roots: { path: string; type: string }[];
  functions: string[];
}

export interface Approval {
  approval: string;
  state: "pending" | "approved" | "denied" | "expired" | "consumed";
  asked: number;
  expires: number;
  agent: string;
  action: string;
  resource: string;
  fingerprint: string;
  args: Record<string, unknown>;
  size: number;
  session: string;
  external_id: string;
  user: string;
  run: string;
  span: string;
  policy: string;
  rule: string;
  reason: string;
  to: string[];
  needed: number;
  may_answer: string[];
  agreed: string[];
  answers: {
    who: string;
    say: string;
    at: number;
    why: string;
    args: Record<string, unknown> | null;
    counts: boolean | null;
    problem: string;
  }[];
  session_cost_micro_usd: number;
  as: string[];
  cannot: string;
  self_approval_possible: boolean;
  ended: number | null;
  context?: StreamEvent[];
}

export interface PolicyView {
  name: string;
  use: string;
  mode: string;
  agents: string;
  on_error: string;
  line: number | null;
  verdicts_7d: Partial<Record<Effect, number>>;
}

export interface BundleView {
  source: string;
  revision: string;
  mode: string;
  unregistered: string;
  unmanaged: string;
  capture: string;
  text: string;
  editable: boolean;
  problems: Fault[];
  unverified: Fault[];
  policies: PolicyView[];
  approvers: { name: string; user: string; console: boolean }[];
  in_force: { journal: string; pid: number; host: string; revision: string; since: number }[];
}

export interface Revision {
  revision: string;
  source: string;
  mode: string;
  first: number;
  last: number;
  who: string | null;
  why: string;
  policies: string[];
  widened: string[];
  kept: boolean;
  current: boolean;
  in_force: number;
  text?: string;
}

export interface DiffLine {
  op: "same" | "add" | "remove";
  from: number | null;
  to: number | null;
  text: string;
}

export interface BundleDiff {
  from: string;
  to: string;
  lines: DiffLine[];
  added: string[];
  removed: string[];
  changed: string[];
  widened: string[];
}

export interface Validation {
  ok: boolean;
  revision: string;
  problems: Fault[];
  unverified: Fault[];
  policies: PolicyView[];
  widened: string[];
}

export interface Completion {
  label: string;
  insert: string;
  kind: string;
  detail: string;
  documentation: string;
}

export interface PolicyUsage {
  policy: string;
  rule: string;
  effect: Effect;
  mode: string;
  verdicts: number;
  decisions: number;
  series: { at: number; verdicts: number }[];
}

export interface Alert {
  alert: string;
  rule: string;
  severity: Severity;
  state: "warning" | "firing" | "resolved" | "no_data";
  group: { agent?: string; session?: string; tool?: string };
  reported: boolean;
  value: number | null;
  threshold: number | null;
  unit: string;
  message: string;
  since: number;
  last: number;
  resolved: number | null;
  silenced_until: number | null;
  sent: { channel: string; at: number; ok: boolean; error: string }[];
}

export interface AlertRule {
  rule: string;
  kind: string;
  severity: Severity;
  when: Record<string, unknown>;
  for_s: number;
  group: string;
  cooldown_s: number;
  channels: string[];
  firing: number;
}

export interface Silence {
  silence: string;
  rule: string;
  group: Record<string, string>;
  until: number;
  who: string;
  why: string;
  at: number;
}

export interface Channel {
  channel: string;
  kind: string;
  on: string[];
  last: { at: number; ok: boolean; error: string } | null;
  waiting: number;
  dead: number;
}

export interface CostRow {
  key: Record<string, string>;
  calls: number;
  failures: number;
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  reasoning_tokens: number;
  cost_micro_usd: number;
  unpriced: number;
}

export interface Costs {
  items: CostRow[];
  total: CostRow;
}

export interface CostSeries {
  times: number[];
  series: { name: string; micro_usd: number[]; calls: number[] }[];
}

export interface Distribution {
  name: string;
  count: number;
  sum: number;
  min: number;
  max: number;
  p50: number;
  p90: number;
  p95: number;
  p99: number;
  buckets: { to: number; count: number }[];
}

export interface ToolUsage {
  key: Record<string, string> | string;
  calls: number;
  failures: number;
  denials: number;
  failure_rate: number | null;
  mean_ms: number | null;
}
