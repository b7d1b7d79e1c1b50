/** The bundle's revisions: who activated them and why, and what differs between two. */

import { get } from "../api/client";
import type { BundleDiff, DiffLine, Revision } from "../api/types_pages";
import { Empty, Loading, Pill, Trouble, When } from "../parts/basics";
import { plural, short } from "../format";
import { amend, place } from "../router";
import { useCell } from "../state/cell";
import { useLoad } from "../state/load";
import { hunks } from "./diff";

export function Revisions({ current }: { current: string }) {
  const { query } = useCell(place);
  const loaded = useLoad<{ items: Revision[] }>("revisions", (signal) => get("/bundle/revisions", {}, signal), { kinds: ["bundle_"] });
  if (loaded.problem && !loaded.data) return <Trouble problem={loaded.problem} again={loaded.again} />;
  if (!loaded.data) return <Loading />;
  const items = loaded.data.items;
  if (!items.length) return <Empty title="No revisions yet" icon="policy">A revision is on record when a process first loads a bundle.</Empty>;
  const chosen = query.get("revision") ?? "";
  const to = items.find((item) => chosen && item.revision.startsWith(chosen)) ?? items.find((item) => item.revision === current) ?? items[0]!;
  const before = items[items.indexOf(to) + 1];
  const from = items.find((item) => item.revision === query.get("from")) ?? before;
  return (
    <div class="revisions">
      <div class="table-scroll" tabIndex={0} role="group" aria-label="Table">
        <table class="table">
          <thead>
            <tr>
              <th>Revision</th>
              <th>First</th>
              <th>By</th>
              <th>Why</th>
              <th>Mode</th>
              <th class="right">Processes</th>
            </tr>
          </thead>
          <tbody>
            {items.map((item) => (
              <tr key={item.revision} class={item === to ? "selected" : ""}>
                <td>
                  <button type="button" class="link mono" aria-pressed={item === to} onClick={() => amend({ revision: item.revision, from: null })}>
                    {short(item.revision, 12)}
                  </button>
                  {item.current ? <Pill tone="accent">current</Pill> : null}
                  {item.widened.length ? <Pill tone="warn" title={item.widened.join("\n")}>permits more</Pill> : null}
                  {item.kept ? null : <Pill title="nobody kept its text">text not kept</Pill>}
                </td>
                <td>
                  <When at={item.first} />
                </td>
                <td>{item.who ?? <span class="muted">the file changed</span>}</td>
                <td class="cut" title={item.why}>
                  {item.why}
                </td>
                <td>{item.mode}</td>
                <td class="right">{item.in_force}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {items.length > 1 ? (
        <h2 class="section diff-title">
          What differs
          <select aria-label="From revision" value={from?.revision ?? ""} onChange={(event) => amend({ from: event.currentTarget.value, revision: to.revision })}>
            {items.map((item) => (
              <option value={item.revision}>{short(item.revision, 12)}</option>
            ))}
          </select>
          to <code>{short(to.revision, 12)}</code>
        </h2>
      ) : null}
      {from && from !== to ? <Differing from={from} to={to} /> : <p class="muted">There is no other revision to compare it with.</p>}
    </div>
  );
}

function Differing({ from, to }: { from: Revision; to: Revision }) {
  const loaded = useLoad<BundleDiff>(`diff ${from.revision} ${to.revision}`, (signal) => get("/bundle/diff", { from: from.revision, to: to.revision }, signal));
  if (loaded.problem) return <Trouble problem={loaded.problem} />;
  if (!loaded.data) return <Loading rows={4} />;
  const { added, removed, changed, widened, lines } = loaded.data;
  return (
    <>
      <p class="pills">
        {added.map((name) => (
          <Pill tone="good">+ {name}</Pill>
        ))}
        {removed.map((name) => (
          <Pill tone="bad">− {name}</Pill>
        ))}
        {changed.map((name) => (
          <Pill tone="accent">{name} changed</Pill>
        ))}
      </p>
      {widened.length ? (
        <div class="banner warn">
          It permits more:
          <ul>
            {widened.map((text) => (
              <li>{text}</li>
            ))}
          </ul>
        </div>
      ) : null}
      <DiffTable lines={lines} />
    </>
  );
}

const SIGNS = { same: " ", add: "+", remove: "−" };

export function DiffTable({ lines }: { lines: DiffLine[] }) {
  const shown = hunks(lines);
  if (!shown.length) return <p class="muted">The texts are the same.</p>;
  const n = lines.filter((line) => line.op !== "same").length;
  return (
    <div class="diff" role="region" aria-label={`${plural(n, "changed line")}`} tabIndex={0}>
      <table>
        <tbody>
          {shown.map((line) =>
            line ? (
              <tr class={line.op}>
                <td class="line-number">{line.from ?? ""}</td>
                <td class="line-number">{line.to ?? ""}</td>
                <td class="sign">{SIGNS[line.op]}</td>
                <td class="line-text">{line.text}</td>
              </tr>
            ) : (
              <tr class="gap">
                <td colSpan={4}>⋯</td>
              </tr>
            ),
          )}
        </tbody>
      </table>
    </div>
  );
}
