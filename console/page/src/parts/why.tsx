/** What people do takes a reason: one dialog asks for it, and says what will happen. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Cell, useCell } from "../state/cell";
import { Button } from "./basics";

interface Question {
  title: string;
  text?: ComponentChildren;
  action: string;
  danger?: boolean;
  /** The reason may be left empty. */
  optional?: boolean;
  label?: string;
  answer: (why: string | null) => void;
}

const asked = new Cell<Question | null>(null);

/** Ask for a reason; null where the person turned back. */
export function askWhy(question: Omit<Question, "answer">): Promise<string | null> {
  return new Promise((answer) => asked.set({ ...question, answer }));
}

export function WhyDialog() {
  const question = useCell(asked);
  return question ? <Asking question={question} /> : null;
}

function Asking({ question }: { question: Question }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [why, setWhy] = useState("");
  useEffect(() => dialog.current?.showModal(), []);
  const end = (answer: string | null) => {
    asked.set(null);
    question.answer(answer);
  };
  const ready = question.optional || why.trim() !== "";
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby="why-title"
      onCancel={(event) => {
        event.preventDefault();
        end(null);
      }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (ready) end(why.trim());
        }}
      >
        <h2 id="why-title">{question.title}</h2>
        {question.text ? <div class="dialog-text">{question.text}</div> : null}
        <label class="field">
          <span>{question.label ?? "Why"}</span>
          <textarea
            rows={3}
            autofocus
            value={why}
            onInput={(event) => setWhy(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.metaKey || event.ctrlKey) && ready) end(why.trim());
            }}
          />
          <small>Your name and this reason go on record before it is done.</small>
        </label>
        <div class="dialog-actions">
          <Button onClick={() => end(null)}>Cancel</Button>
          <Button kind={question.danger ? "danger" : "main"} type="submit" disabled={!ready}>
            {question.action}
          </Button>
        </div>
      </form>
    </dialog>
  );
}
