/** The small parts that every page is made of. */

import type { ButtonHTMLAttributes, ComponentChildren } from "preact";
import type { Problem } from "../api/client";
import type { Effect, Severity } from "../api/types";
import { ago, time } from "../format";
import { useCell } from "../state/cell";
import { now } from "../state/now";
import { Icon, type IconName } from "./icons";
import { tell } from "./notices";

export type Tone = "plain" | "accent" | "good" | "warn" | "bad" | "told";

export function Pill({ tone = "plain", title, children }: { tone?: Tone; title?: string; children: ComponentChildren }) {
  return (
    <span class={`pill ${tone}`} title={title}>
      {children}
    </span>
  );
}

const EFFECTS: Record<Effect, { tone: Tone; text: string }> = {
  allow: { tone: "plain", text: "allowed" },
  modify: { tone: "accent", text: "modified" },
  escalate: { tone: "warn", text: "escalated" },
  deny: { tone: "bad", text: "denied" },
  halt: { tone: "bad", text: "halted" },
};

export function effectText(effect: string): string {
  return EFFECTS[effect as Effect]?.text ?? effect;
}

export function effectTone(effect: string): Tone {
  return EFFECTS[effect as Effect]?.tone ?? "plain";
}

export function EffectPill({ effect, observed }: { effect: string; observed?: boolean }) {
  return (
    <Pill tone={effectTone(effect)} {...(observed ? { title: "in observe mode: nothing was changed" } : {})}>
      {observed ? `would be ${effectText(effect)}` : effectText(effect)}
    </Pill>
  );
}

/** Beside whatever somebody else's instrumentation told of. */
export function Reported({ text = "reported" }: { text?: string }) {
  return (
    <Pill tone="told" title="told over OTLP after the act: nothing of Jackline's judged it, and nothing here can hold it">
      {text}
    </Pill>
  );
}

const STATES: Record<string, Tone> = {
  running: "accent",
  active: "good",
  halted: "bad",
  crashed: "bad",
  suspended: "bad",
  seen: "warn",
  pending: "warn",
  approved: "good",
  denied: "bad",
  firing: "bad",
  warning: "warn",
  failed: "bad",
  unknown: "warn",
};

export function StatePill({ state }: { state: string }) {
  return <Pill tone={STATES[state] ?? "plain"}>{state.replace("_", " ")}</Pill>;
}

export function severityTone(severity: Severity): Tone {
  return severity === "critical" ? "bad" : severity === "warning" ? "warn" : "accent";
}

interface ButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "icon" | "type" | "disabled"> {
  kind?: "plain" | "main" | "danger" | "quiet";
  icon?: IconName;
  small?: boolean;
  type?: "button" | "submit";
  disabled?: boolean;
  children?: ComponentChildren;
}

export function Button({ kind = "plain", icon, small, type = "button", children, ...rest }: ButtonProps) {
  const name = `button ${kind}${small ? " small" : ""}${children ? "" : " bare"}`;
  return (
    <button type={type} class={name} {...rest}>
      {icon ? <Icon name={icon} /> : null}
      {children}
    </button>
  );
}

/** How much of a cap is spent, and how much of it is held. */
export function Meter({ spent, held = 0, cap, label }: { spent: number; held?: number; cap: number; label: string }) {
  const part = cap > 0 ? Math.min(1, spent / cap) : 0;
  const more = cap > 0 ? Math.min(1 - part, held / cap) : 0;
  const tone = part + more >= 0.95 ? "bad" : part + more >= 0.75 ? "warn" : "";
  return (
    <span
      class={`meter ${tone}`}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(part * 100)}
      title={label}
    >
      <span class="fill" style={{ width: `${part * 100}%` }} />
      <span class="held" style={{ width: `${more * 100}%` }} />
    </span>
  );
}

/** Nothing to show: why, and what to do. */
export function Empty({ title, children, icon = "session" }: { title: string; children?: ComponentChildren; icon?: IconName }) {
  return (
    <div class="empty">
      <Icon name={icon} size={28} />
      <h2>{title}</h2>
      {children ? <div class="advice">{children}</div> : null}
    </div>
  );
}

/** Without what only scripts can do: `; GET /api/... lists them`. */
function forPeople(text: string): string {
  return text.replace(/(^|; )(?:see )?GET \/api\/[^;]*/g, "");
}

/** What failed, and what to do about it. */
export function Trouble({ problem, again }: { problem: Problem; again?: () => void }) {
  const hint = problem.message.includes(problem.hint) ? "" : forPeople(problem.hint);
  return (
    <div class="trouble" role="alert">
      <Icon name="warning" />
      <div>
        <p>{forPeople(problem.message)}</p>
        {hint ? <p class="hint">{hint}</p> : null}
        {problem.errors.length ? (
          <ul>
            {problem.errors.map((fault) => (
              <li>
                {fault.place ? <code>{fault.place}</code> : null}
                {fault.line ? ` line ${fault.line}` : ""}
                {fault.column ? `:${fault.column}` : ""} {fault.message}
              </li>
            ))}
          </ul>
        ) : null}
      </div>
      {again ? (
        <Button small onClick={again}>
          Try again
        </Button>
      ) : null}
    </div>
  );
}

export function Loading({ rows = 6 }: { rows?: number }) {
  return (
    <div class="loading" role="status" aria-label="Loading">
      {Array.from({ length: rows }, () => (
        <div class="shade" />
      ))}
    </div>
  );
}

/** Names and what stands beside them. */
export function Facts({ items }: { items: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {items
        .filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false)
        .map(([name, value]) => (
          <div>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** A time as a clock has it, and how long ago when pointed at. */
export function When({ at, relative }: { at: number | null | undefined; relative?: boolean }) {
  const present = useCell(now);
  if (!at) return <span class="muted">–</span>;
  const exact = time(at, present);
  const past = ago(at, present);
  return (
    <time dateTime={new Date(at * 1000).toISOString()} title={relative ? exact : past}>
      {relative ? past : exact}
    </time>
  );
}

export function Copy({ text, label = "Copy" }: { text: string; label?: string }) {
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => tell("Copied"),
      () => tell("The browser does not let this page copy; mark the text instead.", "bad"),
    );
  return <Button kind="quiet" small icon="copy" aria-label={label} title={label} onClick={() => void copy()} />;
}

export interface Tab {
  id: string;
  text: string;
  count?: number;
}

/** Tabs in the way of the ARIA practices: arrows move, the chosen one alone is in the tab order. */
export function Tabs({ tabs, at, choose, label }: { tabs: Tab[]; at: string; choose: (id: string) => void; label: string }) {
  const step = (event: KeyboardEvent) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    const index = tabs.findIndex((tab) => tab.id === at);
    const next = tabs[(index + move + tabs.length) % tabs.length];
    if (!next) return;
    event.preventDefault();
    choose(next.id);
    (event.currentTarget as HTMLElement).querySelector<HTMLElement>(`[data-tab="${next.id}"]`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} onKeyDown={step}>
      {tabs.map((tab) => (
        <button
          type="button"
          role="tab"
          data-tab={tab.id}
          aria-selected={tab.id === at}
          tabIndex={tab.id === at ? 0 : -1}
          onClick={() => choose(tab.id)}
        >
          {tab.text}
          {tab.count === undefined ? null : <span class="count">{tab.count}</span>}
        </button>
      ))}
    </div>
  );
}
