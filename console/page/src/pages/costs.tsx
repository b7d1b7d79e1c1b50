/** What was spent: by agent, model, team and day; how it is distributed; which tools fail. */

import { useMemo } from "preact/hooks";
import { get } from "../api/client";
import type { CostRow, Costs, CostSeries, Distribution, ToolUsage } from "../api/types_pages";
import { Empty, Loading, Pill, Tabs, Trouble } from "../parts/basics";
import { Chart, tint } from "../parts/chart";
import { compact, count, duration, inUnit, money, moneyWith, percent } from "../format";
import { Title } from "../frame/title";
import { agentPath, amend, place } from "../router";
import { useCell } from "../state/cell";
import { useLoad } from "../state/load";
import { present } from "../state/now";

const SPANS: Record<string, { text: string; seconds: number; step: string }> = {
  day: { text: "24 hours", seconds: 86_400, step: "hour" },
  week: { text: "7 days", seconds: 7 * 86_400, step: "hour" },
  month: { text: "30 days", seconds: 30 * 86_400, step: "day" },
};

const BY = ["agent", "model", "team", "managed", "day"];

/** What the API's answers mean. */
const MANAGED: Record<string, string> = { yes: "managed", no: "unmanaged (reported, gateway)" };

export function CostsPage() {
  const { query } = useCell(place);
  const by = BY.includes(query.get("by") ?? "") ? (query.get("by") as string) : "agent";
  const name = query.get("time") && query.get("time")! in SPANS ? query.get("time")! : "week";
  const span = SPANS[name]!;
  const since = useMemo(() => Math.floor((present() - span.seconds) / 3600) * 3600, [name]);
  return (
    <>
      <Title text="Costs">
        <select aria-label="Time" value={name} onChange={(event) => amend({ time: event.currentTarget.value })}>
          {Object.entries(SPANS).map(([id, { text }]) => (
            <option value={id}>the last {text}</option>
          ))}
        </select>
      </Title>
      <Tabs label="Summed by" tabs={BY.map((id) => ({ id, text: id === "managed" ? "Managed or not" : `By ${id}` }))} at={by} choose={(id) => amend({ by: id === "agent" ? null : id })} />
      <Spent by={by} since={since} step={span.step} />
      <h2 class="section">How sessions and calls are distributed</h2>
      <Distributions since={since} />
      <h2 class="section">Tools</h2>
      <Tools since={since} />
    </>
  );
}

function Spent({ by, since, step }: { by: string; since: number; step: string }) {
  const rows = useLoad<Costs>(`costs ${by} ${since}`, (signal) => get("/costs", { by: by === "agent" ? "agent,managed" : by, since }, signal), { every: 60 });
  const lines = by === "day" ? "agent" : by;
  const series = useLoad<CostSeries>(`series ${lines} ${since} ${step}`, (signal) => get("/costs/series", { by: lines, since, step, top: 8 }, signal), { every: 60 });
  const drawn = useMemo(() => series.data?.series.map((one) => ({ name: lines === "managed" ? (MANAGED[one.name] ?? one.name) : one.name || "others", values: one.micro_usd })) ?? [], [series.data]);
  if (rows.problem && !rows.data) return <Trouble problem={rows.problem} again={rows.again} />;
  if (!rows.data) return <Loading rows={8} />;
  if (!rows.data.items.length) return <Empty title="Nothing was spent" icon="cost">No call was made in this time. Choose a longer one above.</Empty>;
  const { total } = rows.data;
  return (
    <>
      <dl class="numbers">
        <div>
          <dt>Spent</dt>
          <dd>{money(total.cost_micro_usd)}</dd>
        </div>
        <div>
          <dt>Model calls</dt>
          <dd>{count(total.calls)}</dd>
        </div>
        <div>
          <dt>Tokens in</dt>
          <dd>{compact(total.input_tokens)}</dd>
        </div>
        <div>
          <dt>of them cached</dt>
          <dd>{percent(total.input_tokens ? total.cache_read_tokens / total.input_tokens : null)}</dd>
        </div>
        <div>
          <dt>Tokens out</dt>
          <dd>{compact(total.output_tokens)}</dd>
        </div>
        <div>
          <dt>Unpriced calls</dt>
          <dd class={total.unpriced ? "warn-text" : ""}>{count(total.unpriced)}</dd>
        </div>
      </dl>
      {series.data && series.data.times.length ? (
        <>
          <Chart times={series.data.times} lines={drawn} read={(value) => money(Math.round(value))} stacked label={`Spending by ${lines} over time`} />
          <p class="legend wrap">
            {drawn.map((line, index) => (
              <span>
                <i class={`swatch ${tint(index)}`} /> {line.name}
              </span>
            ))}
          </p>
        </>
      ) : null}
      <CostTable rows={rows.data.items} by={by} total={total.cost_micro_usd} />
    </>
  );
}

function CostTable({ rows, by, total }: { rows: CostRow[]; by: string; total: number }) {
  return (
    <div class="table-scroll" tabIndex={0} role="group" aria-label="Table">
      <table class="table">
        <thead>
          <tr>
            <th>{by === "managed" ? "Managed or not" : by[0]?.toUpperCase() + by.slice(1)}</th>
            <th class="right">Cost</th>
            <th>Part</th>
            <th class="right">Calls</th>
            <th class="right">Failed</th>
            <th class="right">Tokens in</th>
            <th class="right">From cache</th>
            <th class="right">Tokens out</th>
            <th class="right">Reasoning</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr>
              <td>{keyText(row, by)}</td>
              <td class="right strong">{moneyWith(row.cost_micro_usd, row.unpriced)}</td>
              <td>
                <span class="part" aria-hidden="true">
                  <i style={{ width: `${total ? (row.cost_micro_usd / total) * 100 : 0}%` }} />
                </span>
              </td>
              <td class="right">{count(row.calls)}</td>
              <td class={`right${row.failures ? " bad-text" : " muted"}`}>{count(row.failures)}</td>
              <td class="right">{count(row.input_tokens)}</td>
              <td class="right">{count(row.cache_read_tokens)}</td>
              <td class="right">{count(row.output_tokens)}</td>
              <td class="right">{count(row.reasoning_tokens)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function keyText(row: CostRow, by: string) {
  const value = String(row.key[by] ?? "");
  if (by === "managed") return MANAGED[value] ?? value;
  if (by === "agent" && value) {
    return (
      <>
        <a href={agentPath(value.split("@")[0] ?? "")}>{value}</a> {row.key["managed"] === "no" ? <Pill title="its process is not governed">unmanaged</Pill> : null}
      </>
    );
  }
  return value || <span class="muted">{by === "team" ? "no team" : "not known"}</span>;
}

const WHAT: { id: string; text: string; unit: string; by: string }[] = [
  { id: "session_cost", text: "Cost of a session", unit: "usd", by: "agent" },
  { id: "session_duration", text: "Duration of a session", unit: "s", by: "agent" },
  { id: "model_duration", text: "Duration of a model call", unit: "ms", by: "model" },
  { id: "tool_duration", text: "Duration of a tool call", unit: "ms", by: "tool" },
];

function Distributions({ since }: { since: number }) {
  return (
    <div class="cards wide">
      {WHAT.map((what) => (
        <section class="card" key={what.id}>
          <h3>{what.text}</h3>
          <Spread what={what.id} unit={what.unit} by={what.by} since={since} />
        </section>
      ))}
    </div>
  );
}

function Spread({ what, unit, by, since }: { what: string; unit: string; by: string; since: number }) {
  const loaded = useLoad<{ items: Distribution[] }>(`spread ${what} ${since}`, (signal) => get("/distributions", { what, by, since }, signal), { every: 120 });
  if (loaded.problem && !loaded.data) return <Trouble problem={loaded.problem} />;
  if (!loaded.data) return <Loading rows={3} />;
  const items = loaded.data.items.filter((item) => item.count > 0).slice(0, 6);
  if (!items.length) return <p class="muted">Nothing in this time.</p>;
  return (
    <table class="table spread">
      <thead>
        <tr>
          <th>{by}</th>
          <th>spread</th>
          <th class="right">{what.startsWith("session") ? "sessions" : "calls"}</th>
          <th class="right">median</th>
          <th class="right">95 %</th>
          <th class="right">99 %</th>
        </tr>
      </thead>
      <tbody>
        {items.map((item) => (
          <tr>
            <td class="cut" title={item.name}>
              {item.name || "all"}
            </td>
            <td>
              <Buckets item={item} />
            </td>
            <td class="right">{count(item.count)}</td>
            <td class="right">{inUnit(unit === "usd" ? Math.round(item.p50) : item.p50, unit)}</td>
            <td class="right">{inUnit(unit === "usd" ? Math.round(item.p95) : item.p95, unit)}</td>
            <td class="right">{inUnit(unit === "usd" ? Math.round(item.p99) : item.p99, unit)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const COLUMNS = 24;

/** Buckets are many and fine: put together into a few columns of equal width on a logarithmic scale. */
export function columns(buckets: { to: number; count: number }[]): number[] {
  const first = Math.log(Math.max(1e-9, buckets[0]?.to ?? 1));
  const last = Math.log(Math.max(1e-9, buckets.at(-1)?.to ?? 1));
  const found = new Array<number>(COLUMNS).fill(0);
  for (const bucket of buckets) {
    const part = last > first ? (Math.log(Math.max(1e-9, bucket.to)) - first) / (last - first) : 0.5;
    const at = Math.min(COLUMNS - 1, Math.max(0, Math.floor(part * COLUMNS)));
    found[at] = (found[at] ?? 0) + bucket.count;
  }
  return found;
}

function Buckets({ item }: { item: Distribution }) {
  const found = columns(item.buckets);
  const most = Math.max(1, ...found);
  return (
    <svg class="buckets" width={COLUMNS * 3} height="22" aria-hidden="true">
      {found.map((n, at) => (n ? <rect x={at * 3} y={22 - Math.max(2, (n / most) * 22)} width="2" height={Math.max(2, (n / most) * 22)} /> : null))}
    </svg>
  );
}

function Tools({ since }: { since: number }) {
  const loaded = useLoad<{ items: ToolUsage[] }>(`tools ${since}`, (signal) => get("/tools/usage", { by: "tool", since }, signal), { every: 60 });
  if (loaded.problem && !loaded.data) return <Trouble problem={loaded.problem} />;
  if (!loaded.data) return <Loading rows={4} />;
  if (!loaded.data.items.length) return <p class="muted">No tool was called in this time.</p>;
  return (
    <div class="table-scroll" tabIndex={0} role="group" aria-label="Table">
      <table class="table">
        <thead>
          <tr>
            <th>Tool</th>
            <th class="right">Calls</th>
            <th class="right">Failed</th>
            <th>Failure rate</th>
            <th class="right">Denied (no failures)</th>
            <th class="right">Mean</th>
          </tr>
        </thead>
        <tbody>
          {loaded.data.items.map((item) => {
            const rate = item.failure_rate ?? 0;
            return (
              <tr>
                <td class="strong">{typeof item.key === "string" ? item.key : Object.values(item.key).join(", ")}</td>
                <td class="right">{count(item.calls)}</td>
                <td class={`right${item.failures ? " bad-text" : " muted"}`}>{count(item.failures)}</td>
                <td>
                  <span class={`part${rate > 0.2 ? " bad" : ""}`} aria-hidden="true">
                    <i style={{ width: `${rate * 100}%` }} />
                  </span>{" "}
                  {percent(item.failure_rate)}
                </td>
                <td class="right">{count(item.denials)}</td>
                <td class="right">{duration(item.mean_ms)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
