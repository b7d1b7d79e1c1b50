/** The bundle in force: its policies and their hits, its text, the revisions before it, and what differs. */

import { get } from "../api/client";
import type { BundleView, PolicyUsage } from "../api/types_pages";
import { Empty, Facts, Loading, Pill, Tabs, Trouble, When } from "../parts/basics";
import { Sparkline } from "../parts/sparkline";
import { effectText, effectTone } from "../parts/basics";
import { count, plural, short } from "../format";
import { Title } from "../frame/title";
import { amend, place } from "../router";
import { useCell } from "../state/cell";
import { type Loaded, useLoad } from "../state/load";
import { present } from "../state/now";
import { Edit } from "./bundle_edit";
import { Revisions } from "./revisions";

export function PoliciesPage() {
  const { query } = useCell(place);
  const tab = query.get("tab") ?? "policies";
  const bundle = useLoad<BundleView>("bundle", (signal) => get("/bundle", {}, signal), { kinds: ["bundle_"], every: 60 });
  const missing = bundle.problem?.status === 404;
  return (
    <div class="policies-page">
      <Title text="Policies" pill={bundle.data ? <ModePill mode={bundle.data.mode} /> : null} />
      {bundle.data ? (
        <p class="subtitle">
          <span class="mono">{bundle.data.source}</span>
          <span>
            revision <code title={bundle.data.revision}>{short(bundle.data.revision, 12)}</code>
          </span>
          <span>{plural(bundle.data.in_force.length, "running process", "running processes")}</span>
        </p>
      ) : null}
      <Tabs
        label="Parts of this page"
        tabs={[
          { id: "policies", text: "Policies", ...(bundle.data ? { count: bundle.data.policies.length } : {}) },
          { id: "edit", text: "Bundle" },
          { id: "revisions", text: "Revisions" },
        ]}
        at={tab}
        choose={(id) => amend({ tab: id === "policies" ? null : id, revision: null })}
      />
      {bundle.problem && !missing ? <Trouble problem={bundle.problem} again={bundle.again} /> : null}
      {tab === "revisions" ? (
        <Revisions current={bundle.data?.revision ?? ""} />
      ) : bundle.data ? (
        tab === "edit" ? (
          <Edit bundle={bundle.data} />
        ) : (
          <Overview bundle={bundle} chosen={query.get("policy") ?? ""} />
        )
      ) : missing ? (
        <Empty title="No bundle" icon="policy">
          <p>This console keeps an eye on no file. Write one and start the console beside it:</p>
          <pre class="json">{"jackline: 1\npolicies:\n  - name: session-ceiling\n    use: budget\n    with: {limit: 0.50 USD, per: session, on_exceed: halt}"}</pre>
        </Empty>
      ) : bundle.problem ? null : (
        <Loading rows={10} />
      )}
    </div>
  );
}

export function ModePill({ mode }: { mode: string }) {
  return mode === "observe" ? (
    <Pill tone="warn" title="nothing is changed, held or ended; what would have been is recorded">
      observe
    </Pill>
  ) : (
    <Pill tone="good">{mode}</Pill>
  );
}

function Overview({ bundle, chosen }: { bundle: Loaded<BundleView>; chosen: string }) {
  const view = bundle.data;
  const usage = useLoad<{ items: PolicyUsage[] }>("usage", (signal) => get("/policies/usage", { days: 7, step: "day" }, signal), { every: 60 });
  if (!view) return null;
  return (
    <>
      {view.problems.length ? (
        <div class="banner bad">
          The file has problems; the last good revision stays in force.
          <ul>
            {view.problems.map((fault) => (
              <li>
                line {fault.line}:{fault.column} {fault.message}
              </li>
            ))}
          </ul>
        </div>
      ) : null}
      <div class="table-scroll" tabIndex={0} role="group" aria-label="Table">
        <table class="table">
          <thead>
            <tr>
              <th>Policy</th>
              <th>Kind</th>
              <th>Mode</th>
              <th>Agents</th>
              <th>If it fails</th>
              <th>Verdicts, 7 days</th>
            </tr>
          </thead>
          <tbody>
            {view.policies.map((policy) => (
              <tr key={policy.name} class={policy.name === chosen ? "selected" : ""}>
                <td>
                  <a class="strong" href={`/policies?tab=edit&line=${policy.line ?? 1}`}>
                    {policy.name}
                  </a>
                </td>
                <td>
                  <code>{policy.use}</code>
                </td>
                <td>
                  <ModePill mode={policy.mode} />
                </td>
                <td class="cut">{policy.agents === "all" ? <span class="muted">all</span> : <code title={policy.agents}>{policy.agents}</code>}</td>
                <td>{policy.on_error}</td>
                <td class="pills">
                  {Object.entries(policy.verdicts_7d).length ? (
                    Object.entries(policy.verdicts_7d).map(([effect, n]) => (
                      <Pill tone={effectTone(effect)}>
                        {count(n)} {effectText(effect)}
                      </Pill>
                    ))
                  ) : (
                    <span class="muted">none</span>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h2 class="section">Hits of each rule, the last 7 days</h2>
      {usage.problem ? <Trouble problem={usage.problem} again={usage.again} /> : null}
      {usage.data ? <Usage items={usage.data.items} chosen={chosen} /> : usage.problem ? null : <Loading rows={4} />}
      <h2 class="section">Around them</h2>
      <div class="cards">
        <section class="card">
          <h3>The bundle says</h3>
          <Facts
            items={[
              ["unregistered", view.unregistered],
              ["unmanaged", view.unmanaged],
              ["payloads kept", view.capture],
              ["not verified", view.unverified.length ? plural(view.unverified.length, "condition") : "nothing"],
            ]}
          />
        </section>
        <section class="card">
          <h3>Approvers</h3>
          {view.approvers.length ? (
            <ul class="plain">
              {view.approvers.map((approver) => (
                <li>
                  {approver.name} <span class="muted">{approver.user}</span> {approver.console ? <Pill>this console</Pill> : null}
                </li>
              ))}
            </ul>
          ) : (
            <p class="muted">None is named: whoever may use this console as an approver can answer.</p>
          )}
        </section>
        <section class="card">
          <h3>In force</h3>
          {view.in_force.length ? (
            <ul class="plain">
              {view.in_force.map((process) => (
                <li>
                  process {process.pid} on {process.host} <code>{short(process.revision, 8)}</code> {process.revision === view.revision ? null : <Pill tone="warn">another revision</Pill>}{" "}
                  <span class="muted">
                    since <When at={process.since} />
                  </span>
                </li>
              ))}
            </ul>
          ) : (
            <p class="muted">No process runs under a bundle now.</p>
          )}
        </section>
      </div>
    </>
  );
}

function Usage({ items, chosen }: { items: PolicyUsage[]; chosen: string }) {
  const shown = chosen ? items.filter((item) => item.policy === chosen) : items;
  if (!shown.length) {
    return (
      <p class="muted">
        {chosen ? `${chosen} has answered nothing in this time.` : "No policy has answered in this time."} {chosen ? <a href="/policies">Show all</a> : null}
      </p>
    );
  }
  return (
    <div class="table-scroll" tabIndex={0} role="group" aria-label="Table">
      <table class="table">
        <thead>
          <tr>
            <th>Policy</th>
            <th>Rule</th>
            <th>Effect</th>
            <th class="right">Verdicts</th>
            <th class="right">Decided by it</th>
            <th>By day</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((item) => (
            <tr>
              <td>{item.policy || <span class="muted">no policy objected</span>}</td>
              <td>{item.rule ? <code>{item.rule}</code> : <span class="muted">–</span>}</td>
              <td>
                <Pill tone={effectTone(item.effect)}>{effectText(item.effect)}</Pill> {item.mode === "observe" ? <Pill tone="warn">observe</Pill> : null}
              </td>
              <td class="right">{count(item.verdicts)}</td>
              <td class="right">{count(item.decisions)}</td>
              <td>
                <Sparkline values={byDay(item.series)} label={`${item.verdicts} verdicts`} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const DAY_S = 86_400;

/** One number for each of the last days, 0 where nothing was answered. */
export function byDay(series: { at: number; verdicts: number }[], days = 7, now = present()): number[] {
  const today = Math.floor(now / DAY_S);
  const found = new Array<number>(days).fill(0);
  for (const one of series) {
    const at = days - 1 - (today - Math.floor(one.at / DAY_S));
    if (at >= 0 && at < days) found[at] = (found[at] ?? 0) + one.verdicts;
  }
  return found;
}
