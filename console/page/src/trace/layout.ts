/** A layered layout for small directed graphs: callers to the left, what they call to the right, few crossings. */

export interface Box {
  id: string;
  layer: number;
  x: number;
  y: number;
}

export interface Path {
  from: string;
  to: string;
  /** Points that the line goes through, from box to box. */
  points: [number, number][];
  /** It leads back: a cycle was cut here. */
  back: boolean;
}

export interface Layout {
  boxes: Map<string, Box>;
  paths: Path[];
  width: number;
  height: number;
}

export interface Sizes {
  width: number;
  height: number;
  across: number;
  between: number;
}

interface Edge {
  from: string;
  to: string;
}

/** Edges that lead back to a node on the way to them: without them there is no cycle. */
export function backEdges(nodes: string[], edges: Edge[]): Set<Edge> {
  const out = group(edges, (edge) => edge.from);
  const state = new Map<string, "open" | "done">();
  const back = new Set<Edge>();
  for (const root of nodes) {
    if (state.has(root)) continue;
    const stack: { node: string; next: number }[] = [{ node: root, next: 0 }];
    state.set(root, "open");
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const edge = out.get(top.node)?.[top.next++];
      if (!edge) {
        state.set(top.node, "done");
        stack.pop();
      } else if (state.get(edge.to) === "open") {
        back.add(edge);
      } else if (!state.has(edge.to)) {
        state.set(edge.to, "open");
        stack.push({ node: edge.to, next: 0 });
      }
    }
  }
  return back;
}

/** Each node one layer behind the farthest of those that lead to it. */
export function layers(nodes: string[], edges: Edge[]): Map<string, number> {
  const into = new Map(nodes.map((node) => [node, 0]));
  for (const edge of edges) into.set(edge.to, (into.get(edge.to) ?? 0) + 1);
  const out = group(edges, (edge) => edge.from);
  const layer = new Map(nodes.map((node) => [node, 0]));
  const ready = nodes.filter((node) => into.get(node) === 0);
  for (let node = ready.pop(); node !== undefined; node = ready.pop()) {
    for (const { to } of out.get(node) ?? []) {
      layer.set(to, Math.max(layer.get(to) ?? 0, (layer.get(node) ?? 0) + 1));
      const left = (into.get(to) ?? 1) - 1;
      into.set(to, left);
      if (left === 0) ready.push(to);
    }
  }
  return layer;
}

export function layout(nodes: string[], edges: Edge[], sizes: Sizes): Layout {
  const known = new Set(nodes);
  const real = edges.filter((edge) => known.has(edge.from) && known.has(edge.to) && edge.from !== edge.to);
  const back = backEdges(nodes, real);
  const forward = real.map((edge) => ({ edge, from: back.has(edge) ? edge.to : edge.from, to: back.has(edge) ? edge.from : edge.to }));
  const layer = layers(nodes, forward);
  const columns: string[][] = [];
  const place = (id: string, at: number) => (columns[at] ??= []).push(id);
  for (const node of nodes) place(node, layer.get(node) ?? 0);
  const chains = new Map<Edge, string[]>();
  const links: Edge[] = [];
  forward.forEach(({ edge, from, to }, index) => {
    const chain = [from];
    for (let at = (layer.get(from) ?? 0) + 1; at < (layer.get(to) ?? 0); at++) {
      const id = `\u0000${index}.${at}`; // a place for the line between columns
      place(id, at);
      chain.push(id);
    }
    chain.push(to);
    chain.slice(1).forEach((id, step) => links.push({ from: chain[step] ?? from, to: id }));
    chains.set(edge, back.has(edge) ? chain.reverse() : chain);
  });
  order(columns, links);
  return draw(columns, chains, back, known, sizes);
}

/** Sweeps that put each node at the middle of its neighbours. */
function order(columns: string[][], links: Edge[]): void {
  const before = group(links, (link) => link.to);
  const after = group(links, (link) => link.from);
  for (let sweep = 0; sweep < 6; sweep++) {
    const forth = sweep % 2 === 0;
    const run = forth ? columns.slice(1).map((_, i) => i + 1) : columns.slice(0, -1).map((_, i) => columns.length - 2 - i);
    for (const at of run) {
      const beside = columns[forth ? at - 1 : at + 1] ?? [];
      const index = new Map(beside.map((id, i) => [id, i]));
      const middle = (id: string, own: number) => {
        const near = forth ? before.get(id)?.map((link) => link.from) : after.get(id)?.map((link) => link.to);
        const places = (near ?? []).map((other) => index.get(other)).filter((i): i is number => i !== undefined);
        return places.length ? places.reduce((sum, i) => sum + i, 0) / places.length : own;
      };
      const weights = new Map((columns[at] ?? []).map((id, own) => [id, middle(id, own)]));
      columns[at]?.sort((a, b) => (weights.get(a) ?? 0) - (weights.get(b) ?? 0));
    }
  }
}

function draw(columns: string[][], chains: Map<Edge, string[]>, back: Set<Edge>, known: Set<string>, sizes: Sizes): Layout {
  const tallest = Math.max(1, ...columns.map((column) => column.length));
  const pitch = sizes.height + sizes.between;
  const height = tallest * pitch - sizes.between;
  const all = new Map<string, Box>();
  columns.forEach((column, layer) => {
    const top = (height - (column.length * pitch - sizes.between)) / 2;
    column.forEach((id, index) => all.set(id, { id, layer, x: layer * (sizes.width + sizes.across), y: top + index * pitch }));
  });
  const paths = [...chains].map(([edge, chain]) => {
    const boxes = chain.map((id) => all.get(id)).filter((box): box is Box => box !== undefined);
    const reversed = back.has(edge);
    const points = boxes.flatMap((box, index): [number, number][] => {
      const y = box.y + sizes.height / 2;
      const left: [number, number] = [box.x, y];
      const right: [number, number] = [box.x + sizes.width, y];
      if (index === 0) return [reversed ? left : right];
      if (index === boxes.length - 1) return [reversed ? right : left];
      return reversed ? [right, left] : [left, right];
    });
    return { from: edge.from, to: edge.to, points, back: reversed };
  });
  const boxes = new Map([...all].filter(([id]) => known.has(id)));
  return { boxes, paths, width: columns.length * (sizes.width + sizes.across) - sizes.across, height };
}

function group<T>(items: T[], key: (item: T) => string): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const item of items) {
    const list = found.get(key(item));
    if (list) list.push(item);
    else found.set(key(item), [item]);
  }
  return found;
}
