/** The bundle's text: checked while one types, put in force with a reason. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { may, post } from "../api/client";
import type { Fault } from "../api/types";
import type { BundleView, Completion, Validation } from "../api/types_pages";
import { Button, Pill } from "../parts/basics";
import { Editor } from "../parts/editor";
import { doing } from "../parts/notices";
import { askWhy } from "../parts/why";
import { plural, short } from "../format";
import { place } from "../router";
import { useCell } from "../state/cell";
import { asProblem } from "../state/problem";
import { lineDiff } from "./diff";
import { DiffTable } from "./revisions";

export function Edit({ bundle }: { bundle: BundleView }) {
  const [text, setText] = useState(bundle.text);
  const [base, setBase] = useState({ revision: bundle.revision, text: bundle.text });
  const [reset, setReset] = useState(0);
  const [checked, setChecked] = useState<Validation | null>(null);
  const [fault, setFault] = useState("");
  const [differing, showDiffering] = useState(false);
  const line = Number(useCell(place).query.get("line")) || null;
  const asked = useRef(0);
  const changed = text !== bundle.text;
  const take = () => {
    setText(bundle.text);
    setBase({ revision: bundle.revision, text: bundle.text });
    setReset((n) => n + 1);
  };
  useEffect(() => {
    // The file is another one by now: follow it, unless somebody is writing here.
    if (base.revision !== bundle.revision && (text === base.text || text === bundle.text)) take();
  }, [bundle.revision]);
  const validate = async (draft: string): Promise<Fault[]> => {
    const mine = ++asked.current;
    try {
      const answer = await post<Validation>("/bundle/validate", { text: draft });
      if (mine === asked.current) {
        setChecked(answer);
        setFault("");
      }
      return answer.problems;
    } catch (error) {
      if (mine === asked.current) setFault(asProblem(error).message);
      return [];
    }
  };
  const complete = async (draft: string, atLine: number, column: number) => {
    try {
      return await post<{ items: Completion[]; from: number; to: number }>("/bundle/complete", { text: draft, line: atLine, column });
    } catch {
      return { items: [], from: column, to: column }; // completion is a convenience: the check tells what is wrong
    }
  };
  const editable = bundle.editable && may("operator");
  const diff = useMemo(() => (changed && differing ? lineDiff(bundle.text, text) : []), [changed, differing, text, bundle.text]);
  const stale = changed && base.revision !== bundle.revision;
  return (
    <div class="bundle-edit">
      {stale ? <p class="banner warn">Somebody else changed the bundle while you were editing: compare before you activate yours.</p> : null}
      {editable ? null : <p class="banner plain">{bundle.editable ? "Your role is to look: to change the bundle takes the role operator." : "This file cannot be changed from here."}</p>}
      <div class="editor-frame">
        <Editor text={text} reset={reset} editable={editable} change={setText} validate={validate} complete={complete} line={line} />
      </div>
      <div class="editor-foot">
        <Verdict checked={checked} fault={fault} />
        <span class="grow" />
        {changed ? (
          <>
            <Button aria-pressed={differing} onClick={() => showDiffering(!differing)}>
              {differing ? "Hide changes" : "Show changes"}
            </Button>
            <Button onClick={take}>Discard</Button>
          </>
        ) : null}
        {editable ? (
          <Button kind="main" disabled={!changed || !checked?.ok} onClick={() => void activate(text, base.revision, checked)}>
            Activate
          </Button>
        ) : null}
      </div>
      {changed && differing ? <DiffTable lines={diff} /> : null}
    </div>
  );
}

function Verdict({ checked, fault }: { checked: Validation | null; fault: string }) {
  if (fault) return <span class="bad-text">{fault}</span>;
  if (!checked) return <span class="muted">Checking</span>;
  const first = checked.problems[0];
  if (first) {
    return (
      <span role="status" class="bad-text">
        {plural(checked.problems.length, "problem")}: line {first.line}:{first.column} {first.message}
      </span>
    );
  }
  return (
    <span role="status">
      <Pill tone="good">ok</Pill> {plural(checked.policies.length, "policy", "policies")}, revision <code>{short(checked.revision, 12)}</code>
      {checked.widened.length ? <Pill tone="warn">permits more</Pill> : null}
      {checked.unverified.length ? <span class="muted"> · {plural(checked.unverified.length, "condition")} not verified</span> : null}
    </span>
  );
}

async function activate(text: string, previous: string, checked: Validation | null): Promise<void> {
  const widened = checked?.widened ?? [];
  const why = await askWhy({
    title: "Activate this bundle",
    text: (
      <>
        <p>Every running process of this host follows at its next request.</p>
        {widened.length ? (
          <div class="banner warn">
            It permits more than the one before:
            <ul>
              {widened.map((one) => (
                <li>{one}</li>
              ))}
            </ul>
          </div>
        ) : null}
      </>
    ),
    action: "Activate",
    danger: widened.length > 0,
  });
  if (why !== null) await doing(post("/bundle/activate", { text, previous, why }), "The bundle is in force");
}
