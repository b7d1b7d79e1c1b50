import { describe, expect, it } from "vitest";
import type { Span } from "../src/api/types";
import { hunks, lineDiff } from "../src/pages/diff";
import { columns } from "../src/pages/costs";
import { BESIDE, rowsInView, scrollFor } from "../src/parts/window";
import { backEdges, layers, layout } from "../src/trace/layout";
import { density } from "../src/trace/overview";
import { bar, extent, pan, ticks, zoom } from "../src/trace/scale";
import { whole } from "../src/trace/spans";

const ROW = 28;

describe("rows in view", () => {
  it("are a screenful, wherever one is", () => {
    for (const top of [0, 1000, 100_000, 279_000]) {
      const { first, end } = rowsInView(top, 800, ROW, 10_000);
      expect(end - first).toBeLessThanOrEqual(Math.ceil(800 / ROW) + 2 * BESIDE + 1);
      expect(first * ROW).toBeLessThanOrEqual(top);
      expect(end * ROW).toBeGreaterThanOrEqual(Math.min(top + 800, 10_000 * ROW));
    }
  });

  it("are never more than was allowed, and none of an empty list", () => {
    expect(rowsInView(0, 1_000_000, ROW, 10_000, 240)).toEqual({ first: 0, end: 240 });
    expect(rowsInView(500, 800, ROW, 0)).toEqual({ first: 0, end: 0 });
    const shrunk = rowsInView(100_000, 800, ROW, 3);
    expect(shrunk.end).toBe(3);
  });

  it("are scrolled to only when they are not seen", () => {
    expect(scrollFor(5, 0, 800, ROW)).toBeNull();
    expect(scrollFor(100, 0, 800, ROW)).toBe(101 * ROW - 800);
    expect(scrollFor(2, 800, 800, ROW)).toBe(2 * ROW);
  });
});

describe("the scale", () => {
  const all = { from: 100, to: 200 };
  const span = (started: number, more: Partial<Span> = {}) => whole({ span: String(started), started, ...more });

  it("reaches from the first start to the last end, and to now for what runs", () => {
    expect(extent([span(10, { ended: 20 }), span(12, { outcome: "running" })], 30)).toEqual({ from: 10, to: 10 + 20 * 1.02 });
    expect(extent([], 30)).toEqual({ from: 29, to: 30 });
  });

  it("cuts bars at the edges", () => {
    expect(bar(all, 110, 120)).toEqual({ left: 10, width: 10 });
    expect(bar(all, 50, 120)).toEqual({ left: 0, width: 20 });
    expect(bar(all, 50, 60)).toBeNull();
  });

  it("zooms where the pointer is and stays within", () => {
    expect(zoom(all, all, 0.5, 0)).toEqual({ from: 100, to: 150 });
    expect(zoom({ from: 100, to: 110 }, all, 100, 0.5)).toEqual(all);
    expect(pan({ from: 180, to: 200 }, all, 1)).toEqual({ from: 180, to: 200 });
    expect(pan({ from: 120, to: 140 }, all, -0.5)).toEqual({ from: 110, to: 130 });
  });

  it("has round ticks", () => {
    expect(ticks({ from: 0, to: 5.4 }, 0, 6)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(ticks({ from: 0, to: 2100 }, 0, 4)).toEqual([0, 600, 1200, 1800]);
    expect(ticks({ from: 100.2, to: 100.9 }, 100, 3).map((at) => at.toFixed(1))).toEqual(["0.5"]);
  });

  it("counts what runs in each column", () => {
    const { run, no } = density([span(100, { ended: 150, kind: "tool.call" }), span(175, { effect: "deny", ended: 175 })], all, 4, 200);
    expect([...run]).toEqual([1, 1, 1, 1]);
    expect([...no]).toEqual([0, 0, 0, 1]);
  });
});

describe("the layout", () => {
  const sizes = { width: 100, height: 40, across: 50, between: 10 };
  const edges = [
    { from: "a", to: "b" },
    { from: "b", to: "c" },
    { from: "a", to: "c" },
    { from: "c", to: "a" },
  ];

  it("cuts circles once", () => {
    expect([...backEdges(["a", "b", "c"], edges)]).toEqual([edges[3]]);
  });

  it("puts everybody behind those who call them", () => {
    expect(Object.fromEntries(layers(["a", "b", "c"], edges.slice(0, 3)))).toEqual({ a: 0, b: 1, c: 2 });
  });

  it("gives no two boxes one place, and every edge a path from box to box", () => {
    const { boxes, paths, width } = layout(["a", "b", "c"], edges, sizes);
    expect(new Set([...boxes.values()].map((box) => `${box.x},${box.y}`)).size).toBe(3);
    expect(paths).toHaveLength(4);
    expect(paths.filter((path) => path.back)).toHaveLength(1);
    expect(width).toBe(400);
    const long = paths.find((path) => path.from === "a" && path.to === "c")!;
    expect(long.points[0]).toEqual([100, boxes.get("a")!.y + 20]);
    expect(long.points.at(-1)).toEqual([300, boxes.get("c")!.y + 20]);
  });

  it("untangles what can be untangled", () => {
    const crossed = layout(["a", "b", "x", "y"], [{ from: "a", to: "y" }, { from: "b", to: "x" }], sizes).boxes;
    const inOrder = (one: string, two: string) => crossed.get(one)!.y < crossed.get(two)!.y;
    expect(inOrder("a", "b")).toBe(inOrder("y", "x"));
  });

  it("leaves out edges to nobody and to oneself", () => {
    expect(layout(["a"], [{ from: "a", to: "a" }, { from: "a", to: "gone" }], sizes).paths).toEqual([]);
  });
});

describe("what differs", () => {
  it("is told line by line", () => {
    expect(lineDiff("a\nb\nc", "a\nx\nc").map((line) => [line.op, line.from, line.to])).toEqual([
      ["same", 1, 1],
      ["remove", 2, null],
      ["add", null, 2],
      ["same", 3, 3],
    ]);
    expect(lineDiff("a", "a").every((line) => line.op === "same")).toBe(true);
  });

  it("is shown with a few lines around it", () => {
    const before = Array.from({ length: 30 }, (_, at) => `line ${at}`);
    const after = before.with(15, "changed");
    const shown = hunks(lineDiff(before.join("\n"), after.join("\n")));
    expect(shown).toHaveLength(8);
    expect(hunks(lineDiff("a\nb", "a\nb"))).toEqual([]);
  });

  it("puts fine buckets into a few columns", () => {
    const found = columns([{ to: 1, count: 2 }, { to: 10, count: 3 }, { to: 100, count: 4 }]);
    expect(found.reduce((sum, n) => sum + n, 0)).toBe(9);
    expect([found[0], found[12], found.at(-1)]).toEqual([2, 3, 4]);
  });
});
