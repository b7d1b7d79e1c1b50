import { describe, expect, it } from "vitest";
import type { Span, StreamEvent } from "../src/api/types";
import { above, rows, tree, withAncestors } from "../src/trace/rows";
import { asOf, FILTERS, Spans, waitsAsOf, whole } from "../src/trace/spans";

const span = (id: string, parent = "", more: Partial<Span> = {}): Span => whole({ span: id, parent, kind: "tool.call", name: id, started: Number.parseInt(id, 36), ...more });

const event = (kind: string, at: number, more: Record<string, unknown>): StreamEvent => ({
  position: at,
  journal: "j",
  seq: at,
  at,
  kind,
  session: "s",
  agent: "a",
  event: { kind, at, ...more },
});

const ALL = { collapsed: new Set<string>(), fits: null };

describe("the tree", () => {
  const spans = [span("1"), span("2", "1"), span("3", "2"), span("4", "1", { effect: "deny" }), span("5", "gone")];

  it("has spans without a known parent at the root", () => {
    expect(tree(spans).roots.map((root) => root.span)).toEqual(["1", "5"]);
  });

  it("is shown parent before child, siblings by their start", () => {
    const shown = rows([...spans].reverse(), [], ALL);
    expect(shown.map((row) => [row.span.span, row.depth])).toEqual([["1", 0], ["2", 1], ["3", 2], ["4", 1], ["5", 0]]);
  });

  it("hides what is beneath a closed step", () => {
    const shown = rows(spans, [], { collapsed: new Set(["2"]), fits: null });
    expect(shown.map((row) => row.span.span)).toEqual(["1", "2", "4", "5"]);
    expect(shown[1]).toMatchObject({ open: false, children: 1 });
  });

  it("keeps what stands above a refused step, and says that it is only context", () => {
    const shown = rows(spans, [], { collapsed: new Set(), fits: FILTERS.denied });
    expect(shown.map((row) => [row.span.span, row.context])).toEqual([["1", true], ["4", false]]);
    expect([...withAncestors(spans, FILTERS.denied).fitting]).toEqual(["4"]);
  });

  it("finds the way up, also in a circle", () => {
    expect(above(new Map(spans.map((one) => [one.span, one])), "3")).toEqual(["2", "1"]);
    const circle = [span("1", "2"), span("2", "1")];
    expect(above(new Map(circle.map((one) => [one.span, one])), "1")).toEqual(["2", "1"]);
  });

  it("is flat work however deep it is", () => {
    const deep = Array.from({ length: 20_000 }, (_, at) => whole({ span: `d${at}`, parent: at ? `d${at - 1}` : "", started: at }));
    expect(rows(deep, [], ALL)).toHaveLength(20_000);
  });
});

describe("events of a session", () => {
  const decided = { span: "x", parent: "r", action: "tool.call", resource: "refund", effect: "allow", policy: "p" };

  it("make spans", () => {
    const spans = new Spans();
    spans.take(event("run_started", 1, { span: "r", agent: "support", run: "1" }));
    spans.take(event("decided", 2, decided));
    expect(spans.byId.get("x")).toMatchObject({ kind: "tool.call", name: "refund", outcome: "running", started: 2, parent: "r" });
    spans.take(event("completed", 3, { span: "x", duration_ms: 1000, cost: { micro_usd: 7 }, usage: { input: 5, output: 6 } }));
    expect(spans.byId.get("x")).toMatchObject({ outcome: "completed", ended: 3, cost_micro_usd: 7, input_tokens: 5 });
    spans.take(event("run_ended", 4, { span: "r", error: "ValueError" }));
    expect(spans.byId.get("r")).toMatchObject({ outcome: "failed", error: "ValueError" });
  });

  it("change nothing when they come twice", () => {
    const spans = new Spans();
    const once = [event("decided", 2, decided), event("completed", 3, { span: "x", duration_ms: 9 })];
    for (const one of [...once, ...once]) spans.take(one);
    expect(spans.list()).toHaveLength(1);
    expect(spans.byId.get("x")).toMatchObject({ outcome: "completed", ended: 3, duration_ms: 9 });
  });

  it("say that a refused act was not run, and that a result was withheld", () => {
    const spans = new Spans();
    spans.take(event("decided", 2, { ...decided, effect: "deny", mode: "enforce" }));
    expect(spans.byId.get("x")).toMatchObject({ outcome: "not run", ended: 2 });
    spans.take(event("decided", 3, { ...decided, span: "y" }));
    spans.take(event("decided", 4, { ...decided, span: "y", action: "tool.return", effect: "deny", reason: "personal data" }));
    expect(spans.byId.get("y")).toMatchObject({ effect: "allow", return_effect: "deny", return_reason: "personal data", kind: "tool.call" });
  });

  it("hatch a bar from the question to the answer", () => {
    const spans = new Spans();
    spans.take(event("approval_requested", 2, { approval: "a", span: "x" }));
    expect(spans.take(event("approval_requested", 2, { approval: "a", span: "x" }))).toBe(false);
    spans.take(event("approval_denied", 9, { approval: "a" }));
    expect(spans.waits).toEqual([{ approval: "a", span: "x", from: 2, to: 9, state: "denied" }]);
  });

  it("are passed over where they say nothing of spans", () => {
    const spans = new Spans();
    expect(spans.take(event("bundle_activated", 1, {}))).toBe(false);
    expect(spans.take({ ...event("decided", 1, decided), event: null })).toBe(false);
    expect(spans.version).toBe(0);
  });
});

describe("replay", () => {
  it("shows what had begun, as it was then", () => {
    const spans = [span("1", "", { started: 1, ended: 9, outcome: "completed", cost_micro_usd: 5 }), span("2", "1", { started: 4, ended: 5, outcome: "failed", error: "E" }), span("3", "1", { started: 7 })];
    expect(asOf(spans, 5).map((one) => [one.span, one.outcome, one.cost_micro_usd])).toEqual([["1", "running", null], ["2", "failed", null]]);
    expect(asOf(spans, 4.5)[1]).toMatchObject({ outcome: "running", error: "", ended: null });
    expect(asOf(spans, 0)).toEqual([]);
  });

  it("shows a question as open until it was answered", () => {
    const wait = { approval: "a", span: "x", from: 2, to: 9, state: "approved" };
    expect(waitsAsOf([wait], 5)).toEqual([{ ...wait, to: null, state: "pending" }]);
    expect(waitsAsOf([wait], 9)).toEqual([wait]);
    expect(waitsAsOf([wait], 1)).toEqual([]);
  });
});
