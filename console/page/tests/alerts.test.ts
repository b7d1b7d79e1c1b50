import { describe, expect, it } from "vitest";
import { asWritten, condition } from "../src/pages/alert_rules";

const RULE = {
  rule: "cost-rate",
  kind: "cost_rate",
  severity: "warning" as const,
  when: { per_minute: 1_500_000, calls: 3, window: 300, limit: null },
  for_s: 120,
  group: "",
  cooldown_s: 600,
  channels: [],
  firing: 0,
};

describe("a rule of alerts", () => {
  it("reads with its units, without what is not said", () => {
    expect(condition(RULE)).toBe("per minute $1.50, calls 3, window 5 m, for 2 m");
  });

  it("is written as a bundle has it", () => {
    expect(asWritten(RULE)).toEqual({
      kind: "cost_rate",
      severity: "warning",
      by: "all",
      when: { per_minute: "1.5 USD", calls: 3, window: "300s" },
      for: "120s",
      cooldown: "600s",
    });
  });
});
