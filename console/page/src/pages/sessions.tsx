/** Every session on record, the latest first: the way to its trace. */

import { useState } from "preact/hooks";
import { get } from "../api/client";
import type { Page, Session } from "../api/types";
import { Button, Empty, Loading, Reported, StatePill, Trouble, When } from "../parts/basics";
import { who, WhoSelect } from "../parts/who";
import { count, duration, moneyWith, sessionName } from "../format";
import { Title } from "../frame/title";
import { amend, go, place, sessionPath } from "../router";
import { useCell } from "../state/cell";
import { useLoad } from "../state/load";

const REPORTED = { governed: "false", reported: "true", "": null };
const STATES = ["running", "open", "ended", "halted", "crashed"];

export function SessionsPage() {
  const { query } = useCell(place);
  const [more, setMore] = useState<{ key: string; items: Session[]; next: string | null } | null>(null);
  const filter = { agent: query.get("agent"), user: query.get("user"), state: query.get("state"), reported: REPORTED[who(query)] };
  const key = `sessions ${JSON.stringify(filter)}`;
  const loaded = useLoad<Page<Session>>(key, (signal) => get("/sessions", { ...filter, limit: 50 }, signal), { kinds: ["session_"], every: 15 });
  const further = more?.key === key ? more : null;
  const next = further ? further.next : (loaded.data?.next ?? null);
  const seen = new Set(loaded.data?.items.map((item) => item.session));
  const items = [...(loaded.data?.items ?? []), ...(further?.items ?? []).filter((item) => !seen.has(item.session))];
  const load = async () => {
    const page = await get<Page<Session>>("/sessions", { ...filter, limit: 50, cursor: next });
    setMore({ key, items: [...(further?.items ?? []), ...page.items], next: page.next });
  };
  return (
    <>
      <Title text="Trace">
        <Find />
        <input type="search" placeholder="Agent" aria-label="Agent" value={filter.agent ?? ""} onChange={(event) => amend({ agent: event.currentTarget.value })} />
        <input type="search" placeholder="User" aria-label="User" value={filter.user ?? ""} onChange={(event) => amend({ user: event.currentTarget.value })} />
        <select aria-label="State" value={filter.state ?? ""} onChange={(event) => amend({ state: event.currentTarget.value })}>
          <option value="">Any state</option>
          {STATES.map((state) => (
            <option value={state}>{state}</option>
          ))}
        </select>
        <WhoSelect />
      </Title>
      {loaded.problem ? <Trouble problem={loaded.problem} again={loaded.again} /> : null}
      {loaded.data ? (
        items.length ? (
          <Table items={items} />
        ) : (
          <Empty title="No sessions">
            {filter.agent || filter.user || filter.state || filter.reported ? (
              "None fits what you asked for."
            ) : (
              <>
                Run a governed agent, or <code>jackline demo</code>.
              </>
            )}
          </Empty>
        )
      ) : loaded.problem ? null : (
        <Loading rows={12} />
      )}
      {next ? (
        <p class="more">
          <Button onClick={() => void load()}>Show more</Button>
        </p>
      ) : null}
    </>
  );
}

/** By id, its beginning, or the application's own id. */
function Find() {
  const [text, setText] = useState("");
  return (
    <form
      class="find"
      onSubmit={(event) => {
        event.preventDefault();
        if (text.trim()) go(sessionPath(text.trim()));
      }}
    >
      <input type="search" placeholder="Open by id" aria-label="Open a session by its id" value={text} onInput={(event) => setText(event.currentTarget.value)} />
    </form>
  );
}

function Table({ items }: { items: Session[] }) {
  return (
    <div class="table-scroll" tabIndex={0} role="group" aria-label="Table">
      <table class="table">
        <thead>
          <tr>
            <th>Session</th>
            <th>Agents</th>
            <th>Started</th>
            <th class="right">Took</th>
            <th class="right">Cost</th>
            <th class="right">Tokens</th>
            <th class="right">Models</th>
            <th class="right">Tools</th>
            <th class="right">Denied</th>
            <th>State</th>
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={item.session} class={item.reported ? "told" : ""}>
              <td>
                <a class="strong" href={sessionPath(item.session)}>
                  {sessionName(item)}
                </a>
                {item.user ? <small> for {item.user}</small> : null} {item.reported ? <Reported /> : null}
              </td>
              <td class="cut">{item.agents.join(", ")}</td>
              <td>
                <When at={item.started} />
              </td>
              <td class="right">{duration(((item.ended ?? item.last_at) - item.started) * 1000)}</td>
              <td class="right">{moneyWith(item.cost_micro_usd, item.unpriced)}</td>
              <td class="right">{count(item.tokens)}</td>
              <td class="right">{count(item.model_calls)}</td>
              <td class="right">{count(item.tool_runs)}</td>
              <td class={`right${item.denied ? " bad-text" : " muted"}`}>{item.reported ? "–" : count(item.denied)}</td>
              <td title={item.halt_reason}>
                <StatePill state={item.paused ? "paused" : item.state} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
