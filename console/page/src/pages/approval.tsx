/** One question to people, in full, and the four ways to answer it. */

import { useState } from "preact/hooks";
import { getExact, may, post, segment } from "../api/client";
import { exact, plain } from "../api/exact";
import type { Approval } from "../api/types_pages";
import { Button, Facts, Loading, Pill, StatePill, Trouble, When } from "../parts/basics";
import { Json } from "../parts/json";
import { doing } from "../parts/notices";
import { visible } from "../parts/visible";
import { bytes, money, plural, short } from "../format";
import { agentPath, sessionPath } from "../router";
import { useLoad } from "../state/load";
import { EventLine } from "../trace/details";
import { Countdown } from "./approvals";

type Way = "approve" | "deny" | "edit" | "respond";

export function ApprovalCard({ id }: { id: string }) {
  const loaded = useLoad<Approval>(`approval ${id}`, (signal) => getExact(`/approvals/${segment(id)}`, (item, exactly) => ({ ...item, args: exactly.args }), signal), { kinds: ["approval_"] });
  if (loaded.problem && !loaded.data) return <Trouble problem={loaded.problem} again={loaded.again} />;
  if (!loaded.data) return <Loading />;
  const item = loaded.data;
  return (
    <article class="approval" aria-label={`${item.action} ${item.resource}`}>
      <header>
        <p class="muted">
          <a href={agentPath(item.agent.split("@")[0] ?? "")}>{item.agent}</a> wants to
        </p>
        <h2>
          {verb(item.action)} <span class="resource">{item.resource}</span>
        </h2>
        <span class="approval-state">{item.state === "pending" ? <Countdown until={item.expires} /> : <StatePill state={item.state} />}</span>
      </header>
      <section aria-label="The exact action">
        <Arguments args={item.args} />
        <p class="muted small-text">
          {bytes(item.size)}; approved is this and nothing else. Fingerprint <code>{short(item.fingerprint, 16) || "–"}</code>
        </p>
      </section>
      <div class="why">
        <p>{item.reason}</p>
        <p class="muted">
          asked by <a href={`/policies?policy=${encodeURIComponent(item.policy)}`}>{item.policy}</a>
          {item.rule ? ` (${item.rule})` : ""}
        </p>
      </div>
      <Facts
        items={[
          ["session", <a href={sessionPath(item.session, item.span)}>{item.external_id || short(item.session, 12)}</a>],
          ["for", item.user],
          ["spent so far", money(item.session_cost_micro_usd)],
          ["asked", <When at={item.asked} />],
          ["who may answer", item.may_answer.join(", ")],
          ["must agree", item.needed > 1 ? `${item.agreed.length} of ${item.needed}${item.agreed.length ? `: ${item.agreed.join(", ")}` : ""}` : ""],
        ]}
      />
      {item.answers.length ? <Answers item={item} /> : null}
      {item.state === "pending" ? <Answer item={item} /> : null}
      <section>
        <h3>Before that</h3>
        {item.context?.length ? item.context.map((event) => <EventLine event={event} />) : <p class="muted">Nothing is on record.</p>}
      </section>
    </article>
  );
}

function verb(action: string): string {
  return { "tool.call": "call", "model.call": "ask", "agent.spawn": "start", "http.request": "send a request to", output: "answer with" }[action] ?? action;
}

function Arguments({ args }: { args: Record<string, unknown> }) {
  const names = Object.keys(args);
  if (!names.length) return <p class="muted">without arguments</p>;
  return (
    <table class="arguments">
      <tbody>
        {names.map((name) => (
          <tr>
            <th scope="row">{name}</th>
            <td>{plain(args[name]) ? <code>{JSON.stringify(args[name])}</code> : <Json value={args[name]} />}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Answers({ item }: { item: Approval }) {
  return (
    <section>
      <h3>Answers</h3>
      <ul class="plain answers">
        {item.answers.map((answer) => (
          <li>
            <b>{answer.who}</b> {answer.say} <When at={answer.at} /> {answer.counts === false ? <Pill tone="bad">does not count</Pill> : null}
            {answer.why ? <p>{answer.why}</p> : null}
            {answer.problem ? <p class="bad-text">{answer.problem}</p> : null}
            {answer.args ? <Json value={answer.args} /> : null}
          </li>
        ))}
      </ul>
    </section>
  );
}

const NOUNS: Record<Way, string> = { approve: "Approve", deny: "Deny", edit: "Edit", respond: "Respond" };

function Answer({ item }: { item: Approval }) {
  const [way, setWay] = useState<Way>("approve");
  const [text, setText] = useState("");
  const [args, setArgs] = useState(() => visible(JSON.stringify(item.args, null, 2)));
  const [as, setAs] = useState(item.as[0] ?? "");
  const [busy, setBusy] = useState(false);
  if (item.cannot || !may("approver")) {
    return <p class="banner plain">{item.cannot || "Your role is to look: ask an administrator for the role approver."}</p>;
  }
  const wrong = way === "edit" ? fault(args) : "";
  const ready = !wrong && (way === "approve" || way === "edit" || text.trim() !== "");
  const send = async () => {
    setBusy(true);
    const who = item.as.length > 1 ? { as } : {};
    const reason = text.trim() ? { why: text.trim() } : {};
    const body = way === "respond" ? { text: text.trim(), ...who } : way === "edit" ? { args: exact(args), ...reason, ...who } : { ...reason, ...who };
    const done = { approve: "Approved", deny: "Denied", edit: "Approved with other arguments", respond: "Answered" }[way];
    if (await doing(post(`/approvals/${segment(item.approval)}/${way}`, body), `${done}: ${item.resource}`)) setText("");
    setBusy(false);
  };
  return (
    <form
      class="answer"
      onSubmit={(event) => {
        event.preventDefault();
        if (ready && !busy) void send();
      }}
    >
      <fieldset class="ways">
        <legend>Your answer</legend>
        {(Object.keys(NOUNS) as Way[]).map((one) => (
          <label class={one === way ? `way-${one} chosen` : ""}>
            <input type="radio" name="way" value={one} checked={one === way} onChange={() => setWay(one)} />
            {NOUNS[one]}
          </label>
        ))}
      </fieldset>
      {way === "edit" ? (
        <label class="field">
          <span>All arguments, as they shall be</span>
          <textarea class="mono" rows={6} spellcheck={false} aria-invalid={wrong !== ""} value={args} onInput={(event) => setArgs(event.currentTarget.value)} />
          {wrong ? <small class="bad-text">{wrong}</small> : null}
        </label>
      ) : null}
      {item.as.length > 1 ? (
        <label class="field">
          <span>As</span>
          <select value={as} onChange={(event) => setAs(event.currentTarget.value)}>
            {item.as.map((name) => (
              <option>{name}</option>
            ))}
          </select>
        </label>
      ) : null}
      <label class="field">
        <span>{way === "respond" ? "What the agent is told in place of a result" : way === "deny" ? "Why" : "Why (may be left empty)"}</span>
        <textarea rows={2} value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <div class="answer-actions">
        <Button kind={way === "deny" ? "danger" : "main"} type="submit" disabled={!ready || busy}>
          {way === "edit" ? "Approve these arguments" : NOUNS[way]}
        </Button>
        {item.needed > 1 ? <span class="muted">{plural(item.needed, "person", "people")} must agree</span> : null}
      </div>
      {item.self_approval_possible ? (
        <p class="muted small-text">The agent runs as the same user of this machine as its approvers: it could answer itself. See <code>jackline doctor</code>.</p>
      ) : null}
    </form>
  );
}

function fault(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? "" : "Arguments are an object: {\"name\": value}";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
