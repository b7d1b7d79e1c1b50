/** Numbers as they were written: what is approved is 1800.0 or a long integer, not what a double makes of it. */

interface Raw {
  rawJSON?: (text: string) => unknown;
  isRawJSON?: (value: unknown) => boolean;
}

const raw = JSON as Raw;

/** Parse; a number that would be written otherwise is kept as its text (browsers of 2025 and later). */
export function exact(text: string): unknown {
  if (!raw.rawJSON) return JSON.parse(text);
  const keep = (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === "number" && context?.source !== undefined && String(value) !== context.source ? raw.rawJSON!(context.source) : value;
  return JSON.parse(text, keep as (this: unknown, key: string, value: unknown) => unknown);
}

/** Whether a value is one without parts. */
export function plain(value: unknown): boolean {
  return typeof value !== "object" || value === null || (raw.isRawJSON?.(value) ?? false);
}
