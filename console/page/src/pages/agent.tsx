/** One agent: what it was declared to have, what it was seen with, and what a person can say about it. */

import { useState } from "preact/hooks";
import { get, may, patch, segment } from "../api/client";
import type { AgentView, ToolView } from "../api/types_pages";
import { Button, Empty, Facts, Loading, Pill, Reported, StatePill, Trouble, When } from "../parts/basics";
import { doing } from "../parts/notices";
import { askWhy } from "../parts/why";
import { count, moneyWith, percent, short } from "../format";
import { Title } from "../frame/title";
import { useLoad } from "../state/load";
import { act } from "./acts";

export function AgentPage({ name }: { name: string }) {
  const loaded = useLoad<AgentView>(`agent ${name}`, (signal) => get(`/agents/${segment(name)}`, { days: 7 }, signal), { kinds: ["agent_", "tool_seen", "model_seen"], every: 60 });
  const agent = loaded.data;
  return (
    <>
      <Title text={name} back="/agents" pill={agent ? <Standing agent={agent} /> : null}>
        {agent && may("operator") ? <Acts agent={agent} /> : null}
      </Title>
      {loaded.problem ? <Trouble problem={loaded.problem} again={loaded.again} /> : null}
      {agent ? <Shown agent={agent} /> : loaded.problem ? null : <Loading rows={10} />}
    </>
  );
}

function Standing({ agent }: { agent: AgentView }) {
  return (
    <>
      {agent.status === "seen" ? <Pill tone="warn">unregistered</Pill> : <StatePill state={agent.status} />}
      {agent.reported ? <Reported /> : null}
    </>
  );
}

function Acts({ agent }: { agent: AgentView }) {
  const address = `/agents/${segment(agent.name)}`;
  const register = async () => {
    const why = await askWhy({ title: `Register ${agent.name}`, text: agent.reported ? "Its status becomes active. What it does is only reported all the same: nothing of it is judged." : "Its status becomes active; what it does now is permitted by the registry as far as its tools are.", action: "Register" });
    if (why !== null) await doing(patch(address, { why, status: "active" }), `${agent.name} is registered`);
  };
  return (
    <>
      <a class="button" href={`/sessions?agent=${encodeURIComponent(agent.name)}`}>
        Its sessions
      </a>
      {agent.status === "seen" ? <Button onClick={() => void register()}>Register</Button> : null}
      {agent.status === "suspended" ? (
        <Button kind="main" icon="play" onClick={() => void act(`${address}/resume`, `Resume ${agent.name}`, "It may act again, in every process of this host.", "Resume", `${agent.name} may act again`)}>
          Resume
        </Button>
      ) : agent.reported ? null : (
        <Button kind="danger" icon="pause" onClick={() => void act(`${address}/suspend`, `Suspend ${agent.name}`, "From its next request on it may do nothing, in every process of this host.", "Suspend", `${agent.name} is suspended`, true)}>
          Suspend
        </Button>
      )}
    </>
  );
}

function Shown({ agent }: { agent: AgentView }) {
  return (
    <>
      {agent.reported ? (
        <p class="banner told">
          It only reports, over OTLP: nothing of Jackline's stands before its acts, so it cannot be stopped, suspended, or kept from a tool here. <code>jackline.init()</code> in its process, the gateway for its tools, or the Decision API would stand before them.
        </p>
      ) : null}
      <div class="cards">
        <section class="card">
          <h2>What people say of it</h2>
          <Facts
            items={[
              ["team", agent.team || "–"],
              ["environment", agent.environment || "–"],
              ["labels", labels(agent)],
              ["managed", agent.managed ? "yes" : agent.reported ? "no: it only reports" : "no: nobody vouches that it always asks"],
              ["policies", agent.reported ? "none: nothing of it is decided" : agent.policies ? agent.policies.map((policy) => <a class="label" href={`/policies?policy=${encodeURIComponent(policy)}`}>{policy}</a>) : "not known"],
            ]}
          />
          {may("operator") ? <Amend agent={agent} /> : null}
        </section>
        <section class="card">
          <h2>The last {agent.recent.days} days</h2>
          <Facts
            items={[
              ["cost", moneyWith(agent.recent.cost_micro_usd, agent.recent.unpriced)],
              ["sessions", count(agent.recent.sessions)],
              ...(agent.reported
                ? ([["acts reported", count(agent.recent.decisions)]] as [string, string][])
                : ([
                    ["decisions", count(agent.recent.decisions)],
                    ["denied", `${count(agent.recent.denied)} (${percent(agent.recent.denial_rate)})`],
                  ] as [string, string][])),
              ["first seen", <When at={agent.first_seen} />],
              ["last seen", <When at={agent.last_seen} />],
            ]}
          />
        </section>
        <section class="card">
          <h2>Models</h2>
          <ModelList agent={agent} />
        </section>
      </div>
      {agent.drift.length ? (
        <div class="banner warn">
          It is not as declared:
          <ul>
            {agent.drift.map((one) => (
              <li>{one.message}</li>
            ))}
          </ul>
        </div>
      ) : null}
      <h2 class="section">Tools</h2>
      <Tools agent={agent} />
      <h2 class="section">Versions</h2>
      <Versions agent={agent} />
    </>
  );
}

function labels(agent: AgentView) {
  const found = Object.entries(agent.labels);
  return found.length ? found.map(([key, value]) => <span class="label">{`${key}=${value}`}</span>) : "–";
}

function ModelList({ agent }: { agent: AgentView }) {
  const declared = agent.declared.models;
  const every = [...new Set([...(declared ?? []), ...agent.models])].sort();
  if (!every.length) return <p class="muted">None was seen.</p>;
  return (
    <ul class="plain">
      {every.map((model) => (
        <li>
          {model} {declared && !declared.includes(model) ? <Pill tone="warn">not declared</Pill> : null}
          {declared && !agent.models.includes(model) ? <Pill>never seen</Pill> : null}
        </li>
      ))}
    </ul>
  );
}

function Amend({ agent }: { agent: AgentView }) {
  const [open, setOpen] = useState(false);
  const [team, setTeam] = useState(agent.team);
  const [environment, setEnvironment] = useState(agent.environment);
  const [label, setLabel] = useState("");
  const [why, setWhy] = useState("");
  if (!open) {
    return (
      <Button small onClick={() => setOpen(true)}>
        Change
      </Button>
    );
  }
  const send = async () => {
    const [key, ...rest] = label.split("=");
    const change = {
      why,
      ...(team === agent.team ? {} : { team }),
      ...(environment === agent.environment ? {} : { environment }),
      ...(label.trim() && key ? { labels: { [key.trim()]: rest.length ? rest.join("=").trim() : null } } : {}),
    };
    if (await doing(patch(`/agents/${segment(agent.name)}`, change), `${agent.name} is changed`)) setOpen(false);
  };
  const text = (name: string, value: string, set: (value: string) => void, hint = "") => (
    <label class="field">
      <span>{name}</span>
      <input value={value} placeholder={hint} onInput={(event) => set(event.currentTarget.value)} />
    </label>
  );
  return (
    <form
      class="amend"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      {text("Team", team, setTeam)}
      {text("Environment", environment, setEnvironment)}
      {text("Label", label, setLabel, "key=value; a key alone takes it away")}
      {text("Why", why, setWhy, "goes on record with your name")}
      <div class="dialog-actions">
        <Button small onClick={() => setOpen(false)}>
          Cancel
        </Button>
        <Button small kind="main" type="submit" disabled={!why.trim()}>
          Save
        </Button>
      </div>
    </form>
  );
}

function Tools({ agent }: { agent: AgentView }) {
  const declared = agent.declared.tools;
  const unseen = Object.keys(declared ?? {}).filter((name) => !agent.tools.some((tool) => tool.name === name));
  if (!agent.tools.length && !unseen.length) return <Empty title="No tools" icon="tool">It was seen without any, and none is declared.</Empty>;
  return (
    <div class="table-scroll" tabIndex={0} role="group" aria-label="Table">
      <table class="table">
        <thead>
          <tr>
            <th>Tool</th>
            <th>Declared</th>
            <th>Registry</th>
            <th>Fingerprint</th>
            <th class="right">Calls</th>
            <th class="right">Failed</th>
            <th class="right">Denied</th>
            <th>First seen</th>
            <th>Last seen</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {agent.tools.map((tool) => (
            <Tool key={tool.name} agent={agent} tool={tool} declared={declared ? tool.name in declared : null} />
          ))}
          {unseen.map((name) => (
            <tr>
              <td>{name}</td>
              <td>yes</td>
              <td>
                <Pill>never seen</Pill>
              </td>
              <td colSpan={7} />
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Tool({ agent, tool, declared }: { agent: AgentView; tool: ToolView; declared: boolean | null }) {
  const address = `/agents/${segment(agent.name)}/tools/${segment(tool.name)}`;
  return (
    <tr class={tool.permitted || agent.reported ? "" : "attention"}>
      <td>
        <b class="strong">{tool.name}</b> {tool.read_only ? <Pill>reads only</Pill> : null} {tool.provider ? <Pill>at the provider</Pill> : null}
      </td>
      <td>{declared === null ? <span class="muted">no manifest</span> : declared ? "yes" : <Pill tone="warn">no</Pill>}</td>
      <td>
        {agent.reported ? <Reported text="seen" /> : tool.suspended ? <Pill tone="bad">suspended</Pill> : tool.permitted ? <Pill tone="good">permitted</Pill> : <Pill tone="warn">not permitted</Pill>}
        {tool.status === "changed" && !agent.reported ? <Pill tone="warn">changed</Pill> : null}
      </td>
      <td>
        <code title={tool.fingerprint}>{short(tool.fingerprint, 8)}</code>
      </td>
      <td class="right">{count(tool.calls)}</td>
      <td class={`right${tool.failures ? " bad-text" : " muted"}`}>{count(tool.failures)}</td>
      <td class={`right${tool.denials ? " bad-text" : " muted"}`}>{count(tool.denials)}</td>
      <td>
        <When at={tool.first_seen} />
      </td>
      <td>
        <When at={tool.last_seen} relative />
      </td>
      <td class="right">
        {may("operator") && !agent.reported ? (
          tool.suspended || !tool.permitted ? (
            <Button small onClick={() => void act(`${address}/resume`, `Give ${tool.name} to ${agent.name}`, "It is permitted as it is now; another fingerprint is not.", "Permit", `${tool.name} is permitted`)}>
              {tool.suspended ? "Resume" : "Permit"}
            </Button>
          ) : (
            <Button small onClick={() => void act(`${address}/suspend`, `Take ${tool.name} from ${agent.name}`, "From its next request on it may not call it.", "Suspend", `${tool.name} is suspended`, true)}>
              Suspend
            </Button>
          )
        ) : null}
      </td>
    </tr>
  );
}

function Versions({ agent }: { agent: AgentView }) {
  if (!agent.versions.length) return <p class="muted">It is declared and was never seen.</p>;
  return (
    <div class="table-scroll" tabIndex={0} role="group" aria-label="Table">
      <table class="table">
        <thead>
          <tr>
            <th>Version</th>
            <th>Framework</th>
            <th>Bundle's revision</th>
            <th>First seen</th>
            <th>Last seen</th>
          </tr>
        </thead>
        <tbody>
          {agent.versions.map((version) => (
            <tr>
              <td>{version.version || "(none)"}</td>
              <td>{version.framework ? `${version.framework} ${version.framework_version}` : agent.managed ? "plain Python" : "–"}</td>
              <td>
                <code title={version.revision}>{short(version.revision, 12) || "–"}</code>
              </td>
              <td>
                <When at={version.first_seen} />
              </td>
              <td>
                <When at={version.last_seen} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
