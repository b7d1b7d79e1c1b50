/** The registry: who runs here, unregistered ones on top, and a query in the condition language. */

import { useEffect, useState } from "preact/hooks";
import { get } from "../api/client";
import type { Problem } from "../api/client";
import type { AgentView, ConditionSchema } from "../api/types_pages";
import { Empty, Loading, Pill, Reported, StatePill, Trouble, When } from "../parts/basics";
import { Icon } from "../parts/icons";
import { who, WhoSelect } from "../parts/who";
import { count, moneyWith, percent, plural, short } from "../format";
import { Title } from "../frame/title";
import { agentPath, amend, place } from "../router";
import { useCell } from "../state/cell";
import { useLoad } from "../state/load";

interface Found {
  items: AgentView[];
  unclear?: string[];
}

export function AgentsPage() {
  const { query } = useCell(place);
  const where = query.get("where") ?? "";
  const only = who(query);
  const loaded = useLoad<Found>(`agents ${where}`, (signal) => get("/agents", { where: where || null, days: 7 }, signal), { kinds: ["agent_", "tool_seen", "model_seen"], every: 60 });
  const wrong = loaded.problem?.type === "condition" ? loaded.problem : null;
  const governed = loaded.data?.items.filter((agent) => !agent.reported && only !== "reported") ?? [];
  const reported = loaded.data?.items.filter((agent) => agent.reported && only !== "governed") ?? [];
  const shown = governed.length + reported.length;
  const unregistered = governed.filter((agent) => agent.status === "seen").length;
  return (
    <>
      <Title text="Agents">
        {loaded.data ? <span class="muted">{plural(shown, "agent")}</span> : null}
        <WhoSelect />
      </Title>
      <QueryBox where={where} wrong={wrong} />
      {loaded.problem && !wrong ? <Trouble problem={loaded.problem} again={loaded.again} /> : null}
      {loaded.data?.unclear?.length ? (
        <div class="banner warn">
          The query has no answer for some versions:
          <ul>
            {loaded.data.unclear.map((text) => (
              <li>{text}</li>
            ))}
          </ul>
        </div>
      ) : null}
      {unregistered ? (
        <p class="banner warn">
          {plural(unregistered, "agent runs", "agents run")} here that nobody registered. Open one to say what it is, or name them in a file: <code>jackline agents apply agents.yaml</code>
        </p>
      ) : null}
      {loaded.data ? (
        shown ? (
          <>
            {governed.length ? <Table items={governed} /> : null}
            {reported.length ? <ReportedAgents items={reported} /> : null}
          </>
        ) : (
          <Empty title={where || only ? "No agent fits" : "No agents yet"} icon="agent">
            {where || only ? (
              "Take the query away, and choose governed and reported, to see them all."
            ) : (
              <>
                An agent is listed as soon as it runs under Jackline, or when <code>jackline agents apply</code> names it.
              </>
            )}
          </Empty>
        )
      ) : loaded.problem ? null : (
        <Loading rows={8} />
      )}
    </>
  );
}

/** The condition, and beneath it where it is wrong. */
function QueryBox({ where, wrong }: { where: string; wrong: Problem | null }) {
  const [text, setText] = useState(where);
  const schema = useLoad<ConditionSchema>("agent conditions", (signal) => get("/conditions/schema", { root: "agent" }, signal));
  useEffect(() => setText(where), [where]);
  const send = (value: string) => amend({ where: value.trim() });
  return (
    <form
      class="query"
      onSubmit={(event) => {
        event.preventDefault();
        send(text);
      }}
    >
      <Icon name="search" />
      <input
        class="mono"
        list="agent-fields"
        spellcheck={false}
        autocomplete="off"
        placeholder="agent.team == 'care' && agent.status == 'active'"
        aria-label="Only agents for which this condition holds"
        aria-invalid={wrong !== null}
        aria-describedby={wrong ? "query-fault" : undefined}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onBlur={() => text.trim() !== where && send(text)}
      />
      <datalist id="agent-fields">
        {schema.data?.roots.map((root) => (
          <option value={root.path}>{root.type}</option>
        ))}
      </datalist>
      {wrong ? (
        <div class="fault" id="query-fault" role="alert">
          {(wrong.errors.length ? wrong.errors : [{ line: 1, column: 1, message: wrong.message }]).map((fault) => (
            <>
              <pre class="caret">
                {where}
                {"\n"}
                {" ".repeat(Math.max(0, (fault.column ?? 1) - 1))}^
              </pre>
              <p>
                <b>column {fault.column ?? 1}</b> {fault.message}
              </p>
            </>
          ))}
        </div>
      ) : null}
    </form>
  );
}

function Table({ items }: { items: AgentView[] }) {
  return (
    <div class="table-scroll" tabIndex={0} role="group" aria-label="Table">
      <table class="table dense">
        <thead>
          <tr>
            <th>Agent</th>
            <th>Status</th>
            <th>Team</th>
            <th>Environment</th>
            <th>Framework</th>
            <th>Models</th>
            <th>Tools</th>
            <th>Revision</th>
            <th class="right">7 days</th>
            <th class="right">Denied</th>
            <th>Last seen</th>
          </tr>
        </thead>
        <tbody>
          {items.map((agent) => (
            <Line key={agent.name} agent={agent} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Line({ agent }: { agent: AgentView }) {
  const version = agent.versions[0];
  const strange = agent.tools.filter((tool) => !tool.permitted).length;
  return (
    <tr class={agent.status === "seen" ? "attention" : ""}>
      <td class="named">
        <a class="strong" href={agentPath(agent.name)}>
          {agent.name}
        </a>
        {version?.version ? <small> {version.version}</small> : null}{" "}
        {Object.entries(agent.labels).map(([key, value]) => (
          <span class="label">
            {key}={value}
          </span>
        ))}
        {agent.managed ? null : <Pill title="nobody vouches that it always asks; what it asks of the gateway or the Decision API is judged">unmanaged</Pill>}
      </td>
      <td>{agent.status === "seen" ? <Pill tone="warn">unregistered</Pill> : <StatePill state={agent.status} />}</td>
      <td>{agent.team || <span class="muted">–</span>}</td>
      <td>{agent.environment || <span class="muted">–</span>}</td>
      <td class="cut">{version?.framework ? `${version.framework} ${version.framework_version}` : <span class="muted">–</span>}</td>
      <td class="cut" title={agent.models.join(", ")}>
        {agent.models.join(", ")}
      </td>
      <td>
        {count(agent.tools.length)}
        {strange ? <Pill tone="warn">{strange} not permitted</Pill> : null}
        {agent.drift.length ? <Pill tone="warn">drift</Pill> : null}
      </td>
      <td>{version?.revision ? <code title={version.revision}>{short(version.revision, 8)}</code> : <span class="muted">–</span>}</td>
      <td class="right">{moneyWith(agent.recent.cost_micro_usd, agent.recent.unpriced)}</td>
      <td class={`right${agent.recent.denied ? "" : " muted"}`} title={`${agent.recent.denied} of ${agent.recent.decisions} decisions`}>
        {percent(agent.recent.denial_rate)}
      </td>
      <td>
        <When at={agent.last_seen} relative />
      </td>
    </tr>
  );
}

/** Those that others' instrumentations tell of: apart, since nothing that stands above is true of them. */
function ReportedAgents({ items }: { items: AgentView[] }) {
  return (
    <section class="told-part" aria-label="Only reported">
      <h2 class="section">Only reported</h2>
      <p class="muted">
        Told over OTLP by {plural(items.length, "agent")}, after each act. Nothing of Jackline's judged it, and nothing here can hold it. <code>jackline.init()</code> in its process, the gateway for its tools, or the Decision API would.
      </p>
      <div class="table-scroll" tabIndex={0} role="group" aria-label="Table">
        <table class="table dense">
          <thead>
            <tr>
              <th>Agent</th>
              <th>Status</th>
              <th>Team</th>
              <th>Environment</th>
              <th>Told by</th>
              <th>Models</th>
              <th>Tools seen</th>
              <th class="right">Sessions</th>
              <th class="right">7 days</th>
              <th>Last seen</th>
            </tr>
          </thead>
          <tbody>
            {items.map((agent) => (
              <ReportedLine key={agent.name} agent={agent} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function ReportedLine({ agent }: { agent: AgentView }) {
  const version = agent.versions[0];
  return (
    <tr class="told">
      <td class="named">
        <a class="strong" href={agentPath(agent.name)}>
          {agent.name}
        </a>
        {version?.version ? <small> {version.version}</small> : null} <Reported />
      </td>
      <td>{agent.status === "seen" ? <Pill tone="warn">unregistered</Pill> : <StatePill state={agent.status} />}</td>
      <td>{agent.team || <span class="muted">–</span>}</td>
      <td>{agent.environment || <span class="muted">–</span>}</td>
      <td class="cut" title={version?.framework}>
        {agent.labels["service"] || version?.framework || <span class="muted">–</span>}
      </td>
      <td class="cut" title={agent.models.join(", ")}>
        {agent.models.join(", ")}
      </td>
      <td class="cut" title={agent.tools.map((tool) => tool.name).join(", ")}>
        {agent.tools.map((tool) => tool.name).join(", ")}
      </td>
      <td class="right">{count(agent.recent.sessions)}</td>
      <td class="right">{moneyWith(agent.recent.cost_micro_usd, agent.recent.unpriced)}</td>
      <td>
        <When at={agent.last_seen} relative />
      </td>
    </tr>
  );
}
