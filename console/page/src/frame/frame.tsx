/** What stands around every page: where one can go, how many things wait, how the connection is, who is here. */

import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { get, me, post } from "../api/client";
import type { Status, Summary } from "../api/types";
import { Button } from "../parts/basics";
import { Icon, type IconName } from "../parts/icons";
import { bytes, count, money, plural } from "../format";
import { place } from "../router";
import { useCell } from "../state/cell";
import { connection } from "../state/connection";
import { useLoad } from "../state/load";
import { choose, theme, type Theme } from "../theme";

interface Way {
  path: string;
  text: string;
  icon: IconName;
  key: string;
  badge?: (summary: Summary) => number;
  urgent?: boolean;
}

export const WAYS: Way[] = [
  { path: "/", text: "Live", icon: "live", key: "l", badge: (summary) => summary.running },
  { path: "/sessions", text: "Trace", icon: "session", key: "t" },
  { path: "/approvals", text: "Approvals", icon: "approval", key: "a", badge: (summary) => summary.pending_approvals, urgent: true },
  { path: "/agents", text: "Agents", icon: "agent", key: "r", badge: (summary) => summary.unregistered_agents },
  { path: "/policies", text: "Policies", icon: "policy", key: "p" },
  { path: "/alerts", text: "Alerts", icon: "alert", key: "e", badge: (summary) => summary.firing_alerts, urgent: true },
  { path: "/costs", text: "Costs", icon: "cost", key: "c" },
];

export function isAt(path: string, way: string): boolean {
  return way === "/" ? path === "/" : path === way || path.startsWith(`${way}/`);
}

export function Frame({ children }: { children: ComponentChildren }) {
  const { path } = useCell(place);
  const summary = useLoad<Summary>("summary", (signal) => get("/summary", {}, signal), {
    kinds: ["approval_", "alert_", "session_", "agent_"],
    every: 30,
  });
  return (
    <div class="frame">
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <nav class="side" aria-label="Pages">
        <a class="brand" href="/" aria-label="Jackline">
          <Mark />
          <span>Jackline</span>
        </a>
        <ul>
          {WAYS.map((way) => {
            const n = summary.data && way.badge ? way.badge(summary.data) : 0;
            return (
              <li>
                <a href={way.path} aria-current={isAt(path, way.path) ? "page" : undefined} title={`${way.text} (g ${way.key})`}>
                  <Icon name={way.icon} />
                  <span class="way">{way.text}</span>
                  {n ? <span class={`badge${way.urgent ? " urgent" : ""}`}>{count(n)}</span> : null}
                </a>
              </li>
            );
          })}
        </ul>
        <Today summary={summary.data} />
        <Foot />
      </nav>
      <div class="column">
        <Strip />
        <main id="content" tabIndex={-1}>
          {children}
        </main>
      </div>
    </div>
  );
}

function Today({ summary }: { summary: Summary | null }) {
  if (!summary) return null;
  return (
    <p class="today">
      <span>Spent today</span>
      <b>{money(summary.cost_today_micro_usd)}</b>
      {summary.unpriced_today ? <span>{plural(summary.unpriced_today, "unpriced call")}</span> : null}
    </p>
  );
}

function Foot() {
  const person = useCell(me);
  const how = useCell(connection);
  const words = { open: "Connected", connecting: "Connecting", waiting: "Connection lost", off: "Not connected" }[how];
  return (
    <div class="foot">
      <p class={`connection ${how}`} role="status">
        <i />
        {words}
      </p>
      <ThemeSwitch />
      <p class="person" title={`role ${person?.role ?? ""}`}>
        <a href="/access">{person?.name}</a>
        <span class="muted">{person?.role}</span>
      </p>
      <Button kind="quiet" small icon="out" aria-label="Log out" title="Log out" onClick={() => void post("/logout").finally(() => me.set(null))} />
    </div>
  );
}

const THEMES: { id: Theme; icon: IconName; text: string }[] = [
  { id: "system", icon: "system", text: "As the system has it" },
  { id: "light", icon: "sun", text: "Light" },
  { id: "dark", icon: "moon", text: "Dark" },
];

function ThemeSwitch() {
  const at = useCell(theme);
  return (
    <div class="themes" role="radiogroup" aria-label="Light or dark">
      {THEMES.map(({ id, icon, text }) => (
        <button type="button" role="radio" aria-checked={at === id} aria-label={text} title={text} onClick={() => choose(id)}>
          <Icon name={icon} size={14} />
        </button>
      ))}
    </div>
  );
}

/** What everybody should know before they believe the page. */
function Strip() {
  const status = useLoad<Status>("status", (signal) => get("/status", {}, signal), { kinds: ["bundle_", "events_lost"], every: 20 });
  const how = useCell(connection);
  const told: [string, string][] = [];
  const known = status.data;
  if (how === "waiting") told.push(["bad", "The console does not answer: what is shown may be old. It goes on by itself from where it was."]);
  if (known?.behind.ingesting === "nowhere") told.push(["bad", "Nobody moves events into the index: start `jackline up`, or `jackline ingest`."]);
  if (known && known.behind.bytes > 1_000_000) told.push(["warn", `The index is ${bytes(known.behind.bytes)} behind the journals.`]);
  for (const fault of known?.behind.problems.slice(0, 2) ?? []) told.push(["bad", `Journal ${fault.journal}, line ${fault.seq}: ${fault.problem}`]);
  if (known?.lost_events) told.push(["warn", `${plural(known.lost_events, "event was", "events were")} lost: observations that could not be written.`]);
  if (known?.bundle?.problem) told.push(["bad", `The bundle cannot be loaded: ${known.bundle.problem}`]);
  return told.length ? (
    <div class="strip" role="status">
      {told.map(([tone, text]) => (
        <p class={tone}>
          <Icon name="warning" size={14} /> {text}
        </p>
      ))}
    </div>
  ) : null;
}

export function Mark() {
  return (
    <svg class="mark-logo" width="26" height="26" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" />
      <path d="M19 7v11.5a5.5 5.5 0 0 1-11 0" />
      <circle cx="19" cy="7" r="2.6" />
      <path class="line" d="M19 12h6" />
    </svg>
  );
}

/** `g` and a letter goes to a page, `?` tells the keys. */
export function useKeys(goTo: (path: string) => void, help: () => void): void {
  useEffect(() => {
    let led = 0;
    const press = (event: KeyboardEvent) => {
      const at = event.target as HTMLElement | null;
      const typing = at?.closest("input, textarea, select, dialog, [contenteditable], .editor");
      if (typing || event.metaKey || event.ctrlKey || event.altKey) return;
      if (event.key === "?") help();
      else if (event.key === "/") {
        const box = document.querySelector<HTMLInputElement>("main input[type=search], main .query input");
        if (box) event.preventDefault(), box.focus();
      } else if (event.key === "g") led = Date.now();
      else if (Date.now() - led < 1500) {
        const way = WAYS.find((one) => one.key === event.key);
        led = 0;
        if (way) goTo(way.path);
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
