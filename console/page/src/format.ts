/** How numbers, money, times and ids read everywhere on the page. */

const DASH = "–";

/** Micro-dollars as dollars: more digits the smaller the sum, never a sum that rounds to nothing. */
export function money(micro: number | null | undefined): string {
  if (micro === null || micro === undefined) return DASH;
  const dollars = micro / 1e6;
  const size = Math.abs(dollars);
  if (micro === 0) return "$0.00";
  if (size >= 100_000) return `$${compact(dollars)}`;
  if (size >= 1) return `$${dollars.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  const digits = Math.min(6, 2 - Math.floor(Math.log10(size))); // three that count, down to a micro-dollar
  return `$${dollars.toFixed(Math.max(2, digits)).replace(/(\.\d\d\d*?)0+$/, "$1")}`;
}

/** A cost beside the number of calls whose price nobody knows. */
export function moneyWith(micro: number, unpriced: number): string {
  return unpriced > 0 ? `${money(micro)} + ${unpriced} unpriced` : money(micro);
}

/** 1234 -> 1,234; from 100,000 on 123k. */
export function count(value: number | null | undefined): string {
  if (value === null || value === undefined) return DASH;
  return Math.abs(value) >= 100_000 ? compact(value) : value.toLocaleString("en-US", { maximumFractionDigits: 1 });
}

export function compact(value: number): string {
  return value.toLocaleString("en-US", { notation: "compact", maximumFractionDigits: 1 });
}

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  const kib = value / 1024;
  return kib < 1024 ? `${kib.toFixed(1)} KiB` : `${(kib / 1024).toFixed(1)} MiB`;
}

/** Milliseconds in two units at most: 850 µs, 42 ms, 1.9 s, 3 m 12 s, 2 h 5 m, 3 d 4 h. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return DASH;
  if (ms > 0 && ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1).replace(/0$/, "").replace(/\.$/, "")} s`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 3600) return join(Math.floor(seconds / 60), "m", seconds % 60, "s");
  if (seconds < 86_400) return join(Math.floor(seconds / 3600), "h", Math.floor((seconds % 3600) / 60), "m");
  return join(Math.floor(seconds / 86_400), "d", Math.floor((seconds % 86_400) / 3600), "h");
}

function join(large: number, one: string, small: number, two: string): string {
  return small ? `${large} ${one} ${small} ${two}` : `${large} ${one}`;
}

/** How long ago, coarse: "now", "12 s ago", "3 m ago". */
export function ago(at: number | null | undefined, now: number): string {
  if (!at) return DASH;
  const seconds = now - at;
  if (seconds < 1) return "now";
  return `${single(seconds)} ago`;
}

/** One unit only, for ages that tick. */
export function single(seconds: number): string {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** 4:05 or 1:02:09, for countdowns; 0:00 when it is over. */
export function clock(seconds: number): string {
  const left = Math.max(0, Math.floor(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(left / 3600);
  const rest = `${two(left % 60)}`;
  return hours ? `${hours}:${two(Math.floor((left % 3600) / 60))}:${rest}` : `${Math.floor(left / 60)}:${rest}`;
}

/** The local time; with the date where it is not today. */
export function time(at: number | null | undefined, now: number = Date.now() / 1000): string {
  if (!at) return DASH;
  const date = new Date(at * 1000);
  const sameDay = date.toDateString() === new Date(now * 1000).toDateString();
  const hms = date.toTimeString().slice(0, 8);
  return sameDay ? hms : `${day(at)} ${hms}`;
}

export function day(at: number): string {
  const date = new Date(at * 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** Where something starts after the beginning of its session. */
export function offset(seconds: number): string {
  return `+${seconds < 60 ? `${seconds.toFixed(3)} s` : duration(seconds * 1000)}`;
}

export function percent(part: number | null | undefined, digits = 1): string {
  return part === null || part === undefined ? DASH : `${(part * 100).toFixed(part > 0 && part < 0.1 ? digits : 0)} %`;
}

/** The beginning of an id: enough to tell it from others. */
export function short(id: string, length = 8): string {
  return id.length > length + 2 ? id.slice(0, length) : id;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** What a person calls a session: its external id, or the beginning of its own. */
export function sessionName(session: { external_id: string; session: string }): string {
  return session.external_id || short(session.session, 12);
}

/** A quantity in the unit of a ceiling or an alert. */
export function inUnit(value: number | null, unit: string): string {
  if (value === null) return DASH;
  if (unit === "usd" || unit === "micro_usd") return money(value);
  if (unit === "micro_usd_per_min") return `${money(value)}/min`;
  if (unit === "s" || unit === "seconds") return duration(value * 1000);
  if (unit === "ms") return duration(value);
  if (unit === "rate" || unit === "ratio" || unit === "share") return percent(value);
  if (unit === "x") return `${count(value)} times`;
  return unit ? `${count(value)} ${unit}` : count(value);
}
