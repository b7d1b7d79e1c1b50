import { h, render } from "preact";
import { describe, expect, it } from "vitest";
import { byDay } from "../src/pages/policies";
import { showHidden, visible } from "../src/parts/visible";

describe("characters that nobody sees", () => {
  it("are shown as escapes", () => {
    expect(visible("pay \u202e0081\u202c to\u200b bob\u0000\u001b[31m")).toBe("pay \\u202e0081\\u202c to\\u200b bob\\u0000\\u001b[31m");
    expect(visible("tag \u{e0041}")).toBe("tag \\udb40\\udc41");
  });

  it("are nothing that people write: line ends, accents, emoji of several, other scripts", () => {
    const text = "a\tb\nc é 日本 עברית العربية 👩‍👩‍👧 می‌خواهم";
    expect(visible(text)).toBe(text);
  });

  it("mean the same in JSON", () => {
    const value = { to: "\u202eevil\u2066", tag: "\u{e0041}" };
    expect(JSON.parse(visible(JSON.stringify(value)))).toEqual(value);
  });

  it("are shown in every text of the page, also after a change", () => {
    showHidden();
    const place = document.createElement("div");
    render(h("p", null, "a\u202eb", ["c\u200b", h("b", null, 1)]), place);
    expect(place.textContent).toBe("a\\u202ebc\\u200b1");
    render(h("p", null, "a\u202ec", ["c\u200b", h("b", null, 2)]), place);
    expect(place.textContent).toBe("a\\u202ecc\\u200b2");
  });
});

describe("verdicts by day", () => {
  const today = 20_000 * 86_400;
  it("have a number for each day, the latest last", () => {
    expect(byDay([{ at: today - 86_400, verdicts: 3 }, { at: today, verdicts: 2 }], 7, today + 100)).toEqual([0, 0, 0, 0, 0, 3, 2]);
    expect(byDay([{ at: today - 9 * 86_400, verdicts: 3 }], 7, today)).toEqual([0, 0, 0, 0, 0, 0, 0]);
  });
});
