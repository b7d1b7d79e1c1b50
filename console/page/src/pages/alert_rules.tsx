/** The rules of alerts, and what each would have said of the past. */

import { useState } from "preact/hooks";
import { get, post } from "../api/client";
import type { Alert, AlertRule } from "../api/types_pages";
import { Button, Empty, Loading, Pill, severityTone, Trouble } from "../parts/basics";
import { count, duration, money, plural } from "../format";
import { useLoad } from "../state/load";
import { present } from "../state/now";
import { asProblem } from "../state/problem";
import type { Problem } from "../api/client";
import { AlertLine } from "./alerts";

const DAY_S = 86_400;

export function Rules() {
  const loaded = useLoad<{ items: AlertRule[] }>("alert rules", (signal) => get("/alerts/rules", {}, signal), { kinds: ["bundle_", "alert_"] });
  const [chosen, choose] = useState("");
  if (loaded.problem?.status === 404) return <NotEvaluated />;
  if (loaded.problem && !loaded.data) return <Trouble problem={loaded.problem} again={loaded.again} />;
  if (!loaded.data) return <Loading />;
  if (!loaded.data.items.length) {
    return (
      <Empty title="No rules" icon="alert">
        <p>
          Rules are data in the bundle, under <code>alerts:</code>. <a href="/policies?tab=edit">Open the bundle</a>
        </p>
      </Empty>
    );
  }
  const rule = loaded.data.items.find((one) => one.rule === chosen);
  return (
    <>
      <div class="table-scroll" tabIndex={0} role="group" aria-label="Table">
        <table class="table">
          <thead>
            <tr>
              <th>Rule</th>
              <th>Watches</th>
              <th>When</th>
              <th>For each</th>
              <th>Severity</th>
              <th>Tells</th>
              <th class="right">Firing</th>
            </tr>
          </thead>
          <tbody>
            {loaded.data.items.map((one) => (
              <tr key={one.rule} class={one.rule === chosen ? "selected" : ""}>
                <td>
                  <button type="button" class="link" aria-pressed={one.rule === chosen} onClick={() => choose(one.rule === chosen ? "" : one.rule)}>
                    {one.rule}
                  </button>
                </td>
                <td>{one.kind.replaceAll("_", " ")}</td>
                <td class="wrapped">{condition(one) || <span class="muted">at once</span>}</td>
                <td>{one.group || <span class="muted">all together</span>}</td>
                <td>
                  <Pill tone={severityTone(one.severity)}>{one.severity}</Pill>
                </td>
                <td>{one.channels.join(", ") || <span class="muted">all channels</span>}</td>
                <td class={`right${one.firing ? " bad-text" : " muted"}`}>{count(one.firing)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rule ? <Preview key={rule.rule} rule={rule} /> : <p class="muted">Choose a rule to see what it would have said of the past.</p>}
    </>
  );
}

/** A console that runs without alerts has no such routes. */
export function NotEvaluated() {
  return (
    <Empty title="Nobody evaluates rules here" icon="alert">
      <p>
        Start the console with <code>jackline up</code>: it evaluates the bundle's alert rules as events arrive.
      </p>
    </Empty>
  );
}

const MONEY = new Set(["per_minute", "limit"]);
const TIMES = new Set(["period", "within", "window", "older", "after"]);

/** A threshold as people read it; the API has seconds and micro-dollars. */
export function condition(rule: AlertRule): string {
  const when = Object.entries(rule.when)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${MONEY.has(name) ? money(Number(value)) : TIMES.has(name) ? duration(Number(value) * 1000) : String(value)}`);
  if (rule.for_s) when.push(`for ${duration(rule.for_s * 1000)}`);
  return when.join(", ");
}

/** A rule as a bundle says it. */
export function asWritten(rule: AlertRule): Record<string, unknown> {
  const when = Object.entries(rule.when)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => [name, MONEY.has(name) ? `${Number(value) / 1e6} USD` : TIMES.has(name) ? `${String(value)}s` : value]);
  return {
    kind: rule.kind,
    severity: rule.severity,
    by: rule.group || "all",
    when: Object.fromEntries(when) as unknown,
    for: `${rule.for_s}s`,
    cooldown: `${rule.cooldown_s}s`,
  };
}

function Preview({ rule }: { rule: AlertRule }) {
  const [text, setText] = useState(() => JSON.stringify(asWritten(rule), null, 2));
  const [days, setDays] = useState("7");
  const [found, setFound] = useState<{ fired: Alert[]; evaluated: number } | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    setProblem(null);
    try {
      const until = present();
      setFound(await post("/alerts/rules/preview", { name: rule.rule, rule: JSON.parse(text) as unknown, since: until - Number(days) * DAY_S, until }));
    } catch (error) {
      setProblem(asProblem(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <section class="preview">
      <h2 class="section">On the past</h2>
      <div class="preview-grid">
        <div>
          <label class="field">
            <span>The rule as the bundle may have it, to try with other numbers</span>
            <textarea class="mono" rows={10} spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />
          </label>
          <div class="toolbar">
            <select aria-label="How far back" value={days} onChange={(event) => setDays(event.currentTarget.value)}>
              <option value="1">the last day</option>
              <option value="7">the last 7 days</option>
              <option value="30">the last 30 days</option>
            </select>
            <Button kind="main" disabled={busy} onClick={() => void run()}>
              {busy ? "Evaluating" : "Preview"}
            </Button>
          </div>
        </div>
        <div>
          {problem ? <Trouble problem={problem} /> : null}
          {found ? (
            <>
              <p>
                <b>{plural(found.fired.length, "alert")}</b> <span class="muted">over {plural(found.evaluated, "event")}</span>
              </p>
              <ul class="alerts">
                {found.fired.slice(0, 50).map((alert) => (
                  <AlertLine alert={alert} still />
                ))}
              </ul>
            </>
          ) : (
            <p class="muted">What would have fired appears here; nobody is told.</p>
          )}
        </div>
      </div>
    </section>
  );
}
