import { describe, expect, it } from "vitest";
import { ago, bytes, clock, count, duration, inUnit, money, moneyWith, offset, percent, plural, sessionName, short, single } from "../src/format";

describe("money", () => {
  it.each([
    [0, "$0.00"],
    [1, "$0.000001"],
    [1008, "$0.00101"],
    [500_000, "$0.50"],
    [25_000, "$0.025"],
    [1_234_567, "$1.23"],
    [999_999_990_000, "$1M"],
    [12_345_670_000, "$12,345.67"],
    [null, "–"],
  ])("%s micro-dollars are %s", (micro, text) => expect(money(micro)).toBe(text));

  it("says what has no price instead of adding nothing", () => {
    expect(moneyWith(120_000, 2)).toBe("$0.12 + 2 unpriced");
    expect(moneyWith(0, 0)).toBe("$0.00");
  });
});

describe("durations", () => {
  it.each([
    [0.2, "200 µs"],
    [42.4, "42 ms"],
    [1900, "1.9 s"],
    [59_900, "59.9 s"],
    [192_000, "3 m 12 s"],
    [3_600_000, "1 h"],
    [7_500_000, "2 h 5 m"],
    [273_600_000, "3 d 4 h"],
    [null, "–"],
  ])("%s ms are %s", (ms, text) => expect(duration(ms)).toBe(text));

  it("counts down to nothing and no further", () => {
    expect(clock(245.9)).toBe("4:05");
    expect(clock(3729)).toBe("1:02:09");
    expect(clock(-3)).toBe("0:00");
  });

  it("tells how long ago in one unit", () => {
    expect(ago(100, 100.4)).toBe("now");
    expect(ago(100, 190)).toBe("1 m ago");
    expect(ago(0, 190)).toBe("–");
    expect(single(172_800)).toBe("2 d");
  });

  it("places a step behind the beginning", () => expect([offset(0.0004), offset(75)]).toEqual(["+0.000 s", "+1 m 15 s"]));
});

describe("numbers and names", () => {
  it("keeps small numbers and shortens large ones", () => {
    expect([count(12_345), count(123_456), count(null)]).toEqual(["12,345", "123.5K", "–"]);
    expect([bytes(900), bytes(2048), bytes(3_145_728)]).toEqual(["900 B", "2.0 KiB", "3.0 MiB"]);
    expect([percent(0.021), percent(0.5), percent(0), percent(null)]).toEqual(["2.1 %", "50 %", "0 %", "–"]);
    expect([plural(1, "step"), plural(2, "process", "processes")]).toEqual(["1 step", "2 processes"]);
  });

  it("reads units", () => {
    expect(inUnit(500_000, "usd")).toBe("$0.50");
    expect(inUnit(90, "s")).toBe("1 m 30 s");
    expect(inUnit(12, "calls")).toBe("12 calls");
    expect(inUnit(null, "usd")).toBe("–");
  });

  it("calls a session what its application calls it", () => {
    const session = "a".repeat(32);
    expect(sessionName({ external_id: "job-17", session })).toBe("job-17");
    expect(sessionName({ external_id: "", session })).toBe("a".repeat(12));
    expect(short("0123456789", 8)).toBe("0123456789");
  });
});
