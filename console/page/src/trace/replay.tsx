/** The session again, event by event: a slider over its events, and what had been done by then. */

import { useEffect, useRef, useState } from "preact/hooks";
import { all } from "../api/client";
import type { StreamEvent } from "../api/types";
import { Button, Trouble } from "../parts/basics";
import { offset } from "../format";
import { useLoad } from "../state/load";
import { effectText } from "../parts/basics";

const MOST_EVENTS = 50_000;
const PLAYED_IN_MS = 12_000;

interface Props {
  session: string;
  start: number;
  /** Called with the time of the event that is shown; null when the replay ends. */
  show: (at: number | null) => void;
  /** The span of the event that is shown. */
  select: (span: string) => void;
}

export function Replay({ session, start, show, select }: Props) {
  const loaded = useLoad<StreamEvent[]>(`replay ${session}`, async (signal) => {
    const found: StreamEvent[] = [];
    const address = `/sessions/${encodeURIComponent(session)}/events`;
    await all<StreamEvent>(address, { limit: 1000 }, (items) => found.length < MOST_EVENTS && found.push(...items), signal);
    return found;
  });
  const events = loaded.data ?? [];
  const [at, setAt] = useState(0);
  const [playing, play] = useState(false);
  const event = events[at];
  useEffect(() => {
    if (event) show(event.at);
  }, [event]);
  useEffect(() => () => show(null), []);
  usePlaying(playing, events.length, setAt, () => play(false));
  if (loaded.problem) return <Trouble problem={loaded.problem} again={loaded.again} />;
  const to = (index: number) => {
    setAt(index);
    const span = events[index]?.event?.["span"];
    if (typeof span === "string") select(span);
  };
  return (
    <div class="replay">
      <Button
        small
        icon={playing ? "pause" : "play"}
        aria-label={playing ? "Pause" : "Play"}
        disabled={events.length < 2}
        onClick={() => {
          if (!playing && at >= events.length - 1) setAt(0);
          play(!playing);
        }}
      />
      <input
        type="range"
        min={0}
        max={Math.max(0, events.length - 1)}
        value={at}
        disabled={!events.length}
        aria-label="Event"
        aria-valuetext={event ? `${at + 1} of ${events.length}: ${summary(event)}` : ""}
        onInput={(change) => {
          play(false);
          to(Number(change.currentTarget.value));
        }}
      />
      <output class="replay-at">
        {event ? (
          <>
            <b>{offset(event.at - start)}</b> {at + 1} of {events.length}: {summary(event)}
          </>
        ) : loaded.loading ? (
          "Loading events"
        ) : (
          "No events"
        )}
      </output>
    </div>
  );
}

function usePlaying(playing: boolean, length: number, setAt: (change: (at: number) => number) => void, end: () => void): void {
  const ending = useRef(end);
  ending.current = end;
  useEffect(() => {
    if (!playing) return undefined;
    const wait = Math.max(40, PLAYED_IN_MS / Math.max(1, length));
    const step = Math.max(1, Math.round((length * wait) / PLAYED_IN_MS));
    const timer = setInterval(() => {
      setAt((at) => {
        const next = Math.min(length - 1, at + step);
        if (next === length - 1) ending.current();
        return next;
      });
    }, wait);
    return () => clearInterval(timer);
  }, [playing, length]);
}

/** Whether a line is of an act that somebody else's instrumentation told of, which nothing judged. */
export function isReported(item: StreamEvent): boolean {
  const said = item.event?.["registry"] as { source?: unknown; managed?: unknown } | undefined;
  return item.kind === "decided" && said?.source === "otlp" && said.managed === false;
}

/** What an event says, in a few words. */
export function summary(item: StreamEvent): string {
  const event = item.event ?? {};
  const text = (name: string) => (typeof event[name as never] === "string" ? String(event[name as never]) : "");
  const kind = item.kind.replaceAll("_", " ");
  switch (item.kind) {
    case "decided":
      return `${text("action")} ${text("resource")} ${isReported(item) ? "reported" : effectText(text("effect"))}${text("policy") ? ` by ${text("policy")}` : ""}`;
    case "completed":
    case "failed":
      return `${text("action")} ${text("resource")} ${item.kind}${text("error") ? `: ${text("error")}` : ""}`;
    case "run_started":
    case "run_ended":
      return `${kind}: ${text("agent")}`;
    case "session_halted":
      return `session halted: ${text("reason")}`;
    default:
      return [kind, text("resource"), text("who") && `by ${text("who")}`, text("why")].filter(Boolean).join(" ");
  }
}
