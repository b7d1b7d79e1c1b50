/** The session as a graph: which agent called which agent, model, tool or host, how often, and what was refused. */

import { useMemo, useState } from "preact/hooks";
import { get } from "../api/client";
import type { Graph, GraphNode } from "../api/types";
import { Empty, Facts, Loading, Trouble } from "../parts/basics";
import { Icon, kindIcon } from "../parts/icons";
import { count, money } from "../format";
import { useLoad } from "../state/load";
import { layout, type Path } from "./layout";

const SIZES = { width: 190, height: 52, across: 110, between: 18 };
const MARGIN = 16;

export function GraphTab({ session, running }: { session: string; running: boolean }) {
  const loaded = useLoad<Graph>(`graph ${session}`, (signal) => get(`/sessions/${encodeURIComponent(session)}/graph`, {}, signal), {
    ...(running ? { every: 5 } : {}),
  });
  if (loaded.problem && !loaded.data) return <Trouble problem={loaded.problem} again={loaded.again} />;
  if (!loaded.data) return <Loading />;
  if (!loaded.data.nodes.length) return <Empty title="No steps yet">The graph appears with the first step of this session.</Empty>;
  return <Drawing graph={loaded.data} />;
}

function Drawing({ graph }: { graph: Graph }) {
  const [chosen, choose] = useState<string>("");
  const places = useMemo(() => layout(graph.nodes.map((node) => node.id), graph.edges, SIZES), [graph]);
  const edges = useMemo(() => new Map(graph.edges.map((edge) => [`${edge.from}\n${edge.to}`, edge])), [graph]);
  const node = graph.nodes.find((one) => one.id === chosen);
  const near = (path: Path) => !chosen || path.from === chosen || path.to === chosen;
  return (
    <div class="graph">
      <div class="graph-scroll" tabIndex={0} role="group" aria-label="Graph of agents, models and tools">
        <svg
          width={places.width + 2 * MARGIN}
          height={places.height + 2 * MARGIN}
          viewBox={`${-MARGIN} ${-MARGIN} ${places.width + 2 * MARGIN} ${places.height + 2 * MARGIN}`}
        >
          {places.paths.map((path) => {
            const edge = edges.get(`${path.from}\n${path.to}`);
            const no = (edge?.denied ?? 0) > 0;
            const [x, y] = middle(path);
            return (
              <g class={`edge${no ? " no" : ""}${path.back ? " back" : ""}${near(path) ? "" : " far"}`}>
                <path d={curve(path)} stroke-width={1.2 + Math.min(4, Math.log2(1 + (edge?.calls ?? 0)) * 0.6)} />
                <text x={x} y={y - 5} text-anchor="middle">
                  {label(edge?.calls ?? 0, edge?.denied ?? 0)}
                </text>
              </g>
            );
          })}
          {graph.nodes.map((one) => {
            const box = places.boxes.get(one.id);
            return box ? <Node node={one} x={box.x} y={box.y} chosen={one.id === chosen} choose={() => choose(one.id === chosen ? "" : one.id)} /> : null;
          })}
        </svg>
      </div>
      {node ? (
        <div class="graph-node" aria-live="polite">
          <h3>
            <Icon name={kindIcon(node.kind)} /> {node.name}
          </h3>
          <Facts
            items={[
              ["kind", node.kind],
              ["calls", count(node.calls)],
              ["denied", count(node.denied)],
              ["failed", count(node.failures)],
              ["cost", money(node.cost_micro_usd)],
            ]}
          />
        </div>
      ) : null}
    </div>
  );
}

function label(calls: number, denied: number): string {
  return denied ? `${count(calls)} · ${count(denied)} denied` : count(calls);
}

function Node({ node, x, y, chosen, choose }: { node: GraphNode; x: number; y: number; chosen: boolean; choose: () => void }) {
  const tone = node.denied ? " no" : node.failures ? " failed" : "";
  const about = [
    node.kind === "agent" ? "agent" : `${count(node.calls)} call${node.calls === 1 ? "" : "s"}`,
    node.cost_micro_usd ? money(node.cost_micro_usd) : "",
    node.denied ? `${count(node.denied)} denied` : "",
    node.failures ? `${count(node.failures)} failed` : "",
  ];
  const sub = about.filter(Boolean).join(" · ");
  const name = node.name.length > 21 ? `${node.name.slice(0, 20)}…` : node.name;
  return (
    <g
      class={`node ${node.kind}${tone}${chosen ? " chosen" : ""}`}
      transform={`translate(${x} ${y})`}
      role="button"
      tabindex={0}
      aria-pressed={chosen}
      onClick={choose}
      onKeyDown={(event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        choose();
      }}
    >
      <rect width={SIZES.width} height={SIZES.height} rx="8" />
      <svg x="12" y="18" width="16" height="16" class="node-icon">
        <Icon name={kindIcon(node.kind)} />
      </svg>
      <text x="36" y="22" class="node-name">
        <title>{node.name}</title>
        {name}
      </text>
      <text x="36" y="39" class="node-sub">
        {sub}
      </text>
    </g>
  );
}

function curve(path: Path): string {
  const [first, ...rest] = path.points;
  if (!first) return "";
  let [x, y] = first;
  let text = `M${x},${y}`;
  for (const [toX, toY] of rest) {
    const half = (toX - x) / 2;
    text += y === toY ? `L${toX},${toY}` : `C${x + half},${y} ${toX - half},${toY} ${toX},${toY}`;
    [x, y] = [toX, toY];
  }
  return text;
}

function middle(path: Path): [number, number] {
  const last = path.points.at(-1) ?? [0, 0];
  const before = path.points.at(-2) ?? last;
  return [before[0] + (last[0] - before[0]) * 0.62, before[1] + (last[1] - before[1]) * 0.68];
}
