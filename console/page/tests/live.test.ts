import { beforeEach, describe, expect, it, vi } from "vitest";
import { amend, parts, place, sessionPath } from "../src/router";
import type { LiveSession } from "../src/api/types";
import { exact } from "../src/api/exact";
import { path, Problem } from "../src/api/client";
import { Cell } from "../src/state/cell";
import { flush } from "../src/state/frame";
import { LiveStore } from "../src/state/live";

const session = (id: string, more: Partial<LiveSession> = {}): LiveSession =>
  ({
    session: id,
    external_id: id,
    user: "u",
    agents: ["support"],
    started: 1,
    ended: null,
    state: "running",
    cost_micro_usd: 0,
    micro_usd_per_min: 0,
    waiting: [],
    ceiling: null,
    ...more,
  }) as LiveSession;

describe("live sessions", () => {
  let store: LiveStore;
  const at = Date.now() / 1000;

  beforeEach(() => {
    store = new LiveStore();
    store.load([session("a", { started: 1 }), session("b", { started: 2 })], at);
    flush();
  });

  it("are the latest first, those that ended last", () => {
    expect(store.order.value).toEqual(["b", "a"]);
    store.update([session("b", { started: 2, ended: at }), session("c", { started: 0 })], at);
    flush();
    expect(store.order.value).toEqual(["a", "c", "b"]);
  });

  it("tell only whom an update is about, once in a frame", () => {
    const told = { a: 0, b: 0, order: 0 };
    store.sessions.get("a")!.follow(() => (told.a += 1));
    store.sessions.get("b")!.follow(() => (told.b += 1));
    store.order.follow(() => (told.order += 1));
    for (let n = 0; n < 50; n++) store.update([session("a", { started: 1, cost_micro_usd: n })], at);
    expect(told).toEqual({ a: 0, b: 0, order: 0 });
    flush();
    expect(told).toEqual({ a: 1, b: 0, order: 0 });
    expect(store.sessions.get("a")!.value.cost_micro_usd).toBe(49);
  });

  it("go when they ended long ago, or when a snapshot knows them no more", () => {
    store.update([session("a", { ended: at - 400 })], at);
    flush();
    expect(store.order.value).toEqual(["b"]);
    store.load([session("z")], at);
    flush();
    expect(store.order.value).toEqual(["z"]);
  });

  it("can be ordered and searched", () => {
    store.update([session("a", { cost_micro_usd: 9 }), session("b", { cost_micro_usd: 4 })], at);
    store.sort("cost", (one) => one.session !== "x");
    expect(store.order.value).toEqual(["a", "b"]);
    store.sort("cost", (one) => one.session === "b");
    expect(store.order.value).toEqual(["b"]);
    expect(store.totals()).toMatchObject({ running: 2, micro_usd: 13 });
  });
});

describe("cells", () => {
  it("say nothing where nothing changed, and nothing to those who left", () => {
    const cell = new Cell(1);
    const told = vi.fn();
    const leave = cell.follow(told);
    cell.set(1);
    flush();
    expect(told).not.toHaveBeenCalled();
    cell.set(2);
    leave();
    flush();
    expect(told).not.toHaveBeenCalled();
  });
});

describe("addresses", () => {
  it("keep what people choose, and take it away", () => {
    amend({ only: "denied", span: "ab" });
    expect(place.value.query.get("only")).toBe("denied");
    amend({ only: null });
    expect(location.search).toBe("?span=ab");
  });

  it("hold any name", () => {
    const name = "a/b <script>";
    expect(parts(sessionPath(name))).toEqual(["sessions", name]);
    expect(parts("/sessions/%E0%A4%A")).toEqual(["sessions", "%E0%A4%A"]);
    expect(path("/costs", { by: "agent", since: null, q: "" })).toBe("/api/v1/costs?by=agent");
  });

  it("say what failed", () => {
    const problem = new Problem(404, { type: "urn:jackline:problem:unknown-session", detail: "no session has the id", hint: "GET lists them" });
    expect([problem.type, problem.message, problem.hint, problem.errors]).toEqual(["unknown-session", "no session has the id", "GET lists them", []]);
    expect(new Problem(502, {}).message).toBe("The console answered 502.");
  });
});

describe("exact numbers", () => {
  it("are what was written, where the browser can", () => {
    const text = '{"amount":1800.0,"account":12345678901234567890,"n":7,"list":[1e2]}';
    const can = "rawJSON" in JSON;
    expect(JSON.stringify(exact(text))).toBe(can ? text : JSON.stringify(JSON.parse(text)));
  });
});
