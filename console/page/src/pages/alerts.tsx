/** What fires, what fired, by which rules, and what is silenced. */

import { useState } from "preact/hooks";
import { get, may, post, segment } from "../api/client";
import type { Page } from "../api/types";
import type { Alert, Channel, Silence } from "../api/types_pages";
import { Button, Empty, Loading, Pill, Reported, severityTone, Tabs, Trouble, When } from "../parts/basics";
import { doing } from "../parts/notices";
import { askWhy } from "../parts/why";
import { count, duration, inUnit } from "../format";
import { Title } from "../frame/title";
import { agentPath, amend, place, sessionPath } from "../router";
import { useCell } from "../state/cell";
import { useLoad } from "../state/load";
import { act } from "./acts";
import { NotEvaluated, Rules } from "./alert_rules";

type Found = Page<Alert> & { running: boolean };

export function AlertsPage() {
  const tab = useCell(place).query.get("tab") ?? "firing";
  return (
    <>
      <Title text="Alerts" />
      <Tabs
        label="Parts of this page"
        tabs={[
          { id: "firing", text: "Firing" },
          { id: "history", text: "History" },
          { id: "rules", text: "Rules" },
          { id: "silences", text: "Silences" },
          { id: "channels", text: "Channels" },
        ]}
        at={tab}
        choose={(id) => amend({ tab: id === "firing" ? null : id })}
      />
      {tab === "rules" ? <Rules /> : tab === "silences" ? <Silences /> : tab === "channels" ? <Channels /> : <List state={tab === "history" ? "all" : "firing"} />}
    </>
  );
}

function List({ state }: { state: "firing" | "all" }) {
  const loaded = useLoad<Found>(`alerts ${state}`, (signal) => get("/alerts", { state, limit: 200 }, signal), { kinds: ["alert_"], every: 30 });
  if (loaded.problem && !loaded.data) return <Trouble problem={loaded.problem} again={loaded.again} />;
  if (!loaded.data) return <Loading />;
  return (
    <>
      {loaded.data.running ? null : (
        <p class="banner plain">
          Nobody evaluates rules now: start the console with <code>jackline up</code>.
        </p>
      )}
      {loaded.data.items.length ? (
        <ul class="alerts">
          {loaded.data.items.map((alert) => (
            <AlertLine key={alert.alert} alert={alert} />
          ))}
        </ul>
      ) : (
        <Empty title={state === "firing" ? "Nothing fires" : "Nothing has fired"} icon="alert">
          {state === "firing" ? "Rules are evaluated as events arrive. What fired before is under History." : "What fires is kept here."}
        </Empty>
      )}
    </>
  );
}

export function AlertLine({ alert, still = false }: { alert: Alert; still?: boolean }) {
  const over = alert.state === "resolved";
  return (
    <li class={`alert ${over ? "over" : alert.severity}`}>
      <span class="alert-mark" aria-hidden="true" />
      <div class="alert-text">
        <p class="alert-head">
          <b>{alert.rule}</b>
          <Pill tone={over ? "plain" : severityTone(alert.severity)}>{over ? "resolved" : alert.severity}</Pill>
          {alert.state === "no_data" ? <Pill>no data</Pill> : alert.state === "warning" ? <Pill>early</Pill> : null}
          {alert.reported ? <Reported /> : null}
          <GroupLinks group={alert.group} />
        </p>
        <p>{alert.message}</p>
        <p class="muted small-text">
          {alert.value === null ? null : (
            <>
              {inUnit(alert.value, alert.unit)}
              {alert.threshold === null ? "" : ` against ${inUnit(alert.threshold, alert.unit)}`} ·{" "}
            </>
          )}
          since <When at={alert.since} />
          {alert.resolved ? ` · for ${duration((alert.resolved - alert.since) * 1000)}` : null}
          {alert.silenced_until ? (
            <>
              {" "}
              · silenced until <When at={alert.silenced_until} />
            </>
          ) : null}
          {alert.sent.map((sent) => (
            <>
              {" · "}
              <span class={sent.ok ? "" : "bad-text"} title={sent.error}>
                {sent.channel} {sent.ok ? "told" : "failed"}
              </span>
            </>
          ))}
        </p>
      </div>
      {!still && !over && may("operator") ? (
        <Button small onClick={() => void silence(alert)}>
          Silence
        </Button>
      ) : null}
    </li>
  );
}

function GroupLinks({ group }: { group: Alert["group"] }) {
  return (
    <>
      {group.agent ? <a href={agentPath(group.agent.split("@")[0] ?? "")}>{group.agent}</a> : null}
      {group.session ? (
        <a class="mono" href={sessionPath(group.session)}>
          {group.session.slice(0, 12)}
        </a>
      ) : null}
      {group.tool ? <code>{group.tool}</code> : null}
    </>
  );
}

async function silence(alert: Alert): Promise<void> {
  const why = await askWhy({ title: `Silence ${alert.rule} for an hour`, text: "It is still evaluated and listed; nobody is told.", action: "Silence" });
  if (why !== null) await doing(post("/alerts/silences", { rule: alert.rule, group: alert.group, for_s: 3600, why }), `${alert.rule} is silenced`);
}

function Silences() {
  const loaded = useLoad<{ items: Silence[] }>("silences", (signal) => get("/alerts/silences", {}, signal), { kinds: ["alert_"] });
  const [rule, setRule] = useState("");
  const [hours, setHours] = useState("1");
  const add = async () => {
    const why = await askWhy({ title: rule ? `Silence ${rule}` : "Silence every rule", text: `For ${hours} h nobody is told; everything is still evaluated and listed.`, action: "Silence", danger: !rule });
    if (why === null) return;
    const body = { ...(rule.trim() ? { rule: rule.trim() } : {}), for_s: Number(hours) * 3600, why };
    if (await doing(post("/alerts/silences", body), "Silenced")) loaded.again();
  };
  if (loaded.problem?.status === 404) return <NotEvaluated />;
  if (loaded.problem && !loaded.data) return <Trouble problem={loaded.problem} again={loaded.again} />;
  if (!loaded.data) return <Loading rows={3} />;
  return (
    <>
      {may("operator") ? (
        <form
          class="toolbar"
          onSubmit={(event) => {
            event.preventDefault();
            void add();
          }}
        >
          <input aria-label="Rule" placeholder="Rule (empty: all)" value={rule} onInput={(event) => setRule(event.currentTarget.value)} />
          <select aria-label="For how long" value={hours} onChange={(event) => setHours(event.currentTarget.value)}>
            {["1", "4", "12", "24", "168"].map((n) => (
              <option value={n}>{n === "168" ? "7 d" : `${n} h`}</option>
            ))}
          </select>
          <Button type="submit">Silence</Button>
        </form>
      ) : null}
      {loaded.data.items.length ? (
        <table class="table">
          <thead>
            <tr>
              <th>Rule</th>
              <th>Only for</th>
              <th>Until</th>
              <th>By</th>
              <th>Why</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {loaded.data.items.map((one) => (
              <tr key={one.silence}>
                <td>{one.rule || "all"}</td>
                <td>{Object.entries(one.group).map(([name, value]) => `${name} ${value}`).join(", ") || <span class="muted">–</span>}</td>
                <td>
                  <When at={one.until} />
                </td>
                <td>{one.who}</td>
                <td class="cut">{one.why}</td>
                <td class="right">
                  {may("operator") ? (
                    <Button small onClick={() => void act(`/alerts/silences/${segment(one.silence)}/lift`, "Lift this silence", "People are told again.", "Lift", "Lifted").then(loaded.again)}>
                      Lift
                    </Button>
                  ) : null}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        <Empty title="Nothing is silenced" icon="bell">
          A silence keeps people from being told; alerts are still evaluated and listed.
        </Empty>
      )}
    </>
  );
}

function Channels() {
  const loaded = useLoad<{ items: Channel[] }>("channels", (signal) => get("/alerts/channels", {}, signal), { kinds: ["alert_"] });
  if (loaded.problem?.status === 404) return <NotEvaluated />;
  if (loaded.problem && !loaded.data) return <Trouble problem={loaded.problem} again={loaded.again} />;
  if (!loaded.data) return <Loading rows={3} />;
  if (!loaded.data.items.length) {
    return (
      <Empty title="No channels" icon="bell">
        <p>
          The bundle's <code>notify:</code> names where people are told: e-mail, Slack, PagerDuty, a webhook.
        </p>
      </Empty>
    );
  }
  const again = async (channel: string) => {
    await act(`/alerts/channels/${segment(channel)}/again`, `Tell ${channel} again`, "What it did not take is tried anew.", "Tell again", `${channel} is told again`);
    loaded.again();
  };
  const test = async (channel: string) => {
    const why = await askWhy({ title: `Send a test to ${channel}`, action: "Send" });
    if (why === null) return;
    const sent = post<{ ok: boolean; error: string }>(`/alerts/channels/${segment(channel)}/test`, { why }).then((answer) => {
      if (!answer.ok) throw new Error(`${channel}: ${answer.error}`);
    });
    await doing(sent, `${channel} took the test`);
    loaded.again();
  };
  return (
    <table class="table">
      <thead>
        <tr>
          <th>Channel</th>
          <th>Kind</th>
          <th>Told of</th>
          <th>Last told</th>
          <th class="right">To be told</th>
          <th class="right">Given up</th>
          <th />
        </tr>
      </thead>
      <tbody>
        {loaded.data.items.map((one) => (
          <tr key={one.channel}>
            <td class="strong">{one.channel}</td>
            <td>{one.kind}</td>
            <td>{one.on.join(", ")}</td>
            <td>
              {one.last ? (
                <>
                  <When at={one.last.at} /> {one.last.ok ? <Pill tone="good">ok</Pill> : <Pill tone="bad">{one.last.error}</Pill>}
                </>
              ) : (
                <span class="muted">never</span>
              )}
            </td>
            <td class="right">{count(one.waiting)}</td>
            <td class={`right${one.dead ? " bad-text" : " muted"}`}>{count(one.dead)}</td>
            <td class="right">
              {may("operator") && one.dead ? (
                <>
                  <Button small onClick={() => void again(one.channel)}>
                    Tell again
                  </Button>{" "}
                </>
              ) : null}
              {may("operator") ? (
                <Button small onClick={() => void test(one.channel)}>
                  Test
                </Button>
              ) : null}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
