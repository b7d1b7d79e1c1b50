/** What waits for a person: the exact action, who asked, and the answer. Made for a phone too. */

import { get } from "../api/client";
import type { Page } from "../api/types";
import type { Approval } from "../api/types_pages";
import { Empty, Loading, Pill, StatePill, Tabs, Trouble, When } from "../parts/basics";
import { Icon } from "../parts/icons";
import { clock, count } from "../format";
import { Title } from "../frame/title";
import { amend, place } from "../router";
import { useCell } from "../state/cell";
import { useLoad } from "../state/load";
import { now } from "../state/now";
import { ApprovalCard } from "./approval";

export function ApprovalsPage({ chosen }: { chosen: string }) {
  const state = useCell(place).query.get("state") === "all" ? "all" : "pending";
  const loaded = useLoad<Page<Approval>>(`approvals ${state}`, (signal) => get("/approvals", { state, limit: 100 }, signal), { kinds: ["approval_"], every: 30 });
  const items = loaded.data?.items ?? [];
  const at = chosen || "";
  return (
    <div class={`approvals-page${at ? " one" : ""}`}>
      <Title text="Approvals" {...(at ? { back: `/approvals${location.search}` } : {})} />
      <Tabs
        label="Which approvals"
        tabs={[
          { id: "pending", text: "Waiting", ...(state === "pending" && loaded.data ? { count: items.length } : {}) },
          { id: "all", text: "All" },
        ]}
        at={state}
        choose={(id) => amend({ state: id === "pending" ? null : id })}
      />
      {loaded.problem ? <Trouble problem={loaded.problem} again={loaded.again} /> : null}
      {!loaded.data ? (
        loaded.problem ? null : (
          <Loading rows={5} />
        )
      ) : !items.length && !at ? (
        <Empty title={state === "pending" ? "Nothing waits for people" : "Nobody was asked yet"} icon="approval">
          {state === "pending" ? "When a policy escalates an act, it appears here and the agent waits." : "A policy whose effect is to escalate asks people before an act."}
        </Empty>
      ) : (
        <div class="inbox">
          <ol class="inbox-list" aria-label="Approvals">
            {items.map((item) => (
              <li key={item.approval}>
                <Line item={item} at={at} />
              </li>
            ))}
          </ol>
          {at ? <ApprovalCard key={at} id={at} /> : <p class="inbox-none muted">Choose one to see the exact action.</p>}
        </div>
      )}
    </div>
  );
}

function Line({ item, at }: { item: Approval; at: string }) {
  return (
    <a class="inbox-line" href={`/approvals/${item.approval}${location.search}`} aria-current={item.approval === at ? "true" : undefined}>
      <span class="inbox-what">
        <b>{item.resource || item.action}</b>
        {item.state === "pending" ? <Countdown until={item.expires} /> : <StatePill state={item.state} />}
      </span>
      <span class="inbox-who">
        <span class="ellipsis">
          {item.agent} · {item.policy}
        </span>
      </span>
      <span class="inbox-who">
        <When at={item.asked} relative />
        {item.needed > 1 ? (
          <Pill>
            {count(item.agreed.length)} of {count(item.needed)}
          </Pill>
        ) : null}
      </span>
    </a>
  );
}

/** How long there is to answer; red in the last minute. */
export function Countdown({ until }: { until: number }) {
  const left = until - useCell(now);
  return (
    <span class={`countdown${left < 60 ? " bad-text" : left < 300 ? " warn-text" : ""}`} title="then the answer is no">
      <Icon name="bell" size={12} /> {left > 0 ? clock(left) : "expired"}
    </span>
  );
}
