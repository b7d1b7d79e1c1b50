/** The tree of spans as rows, in the order in which the waterfall shows them; without recursion, however deep it is. */

import type { Span, Wait } from "../api/types";

export interface Row {
  span: Span;
  depth: number;
  children: number;
  open: boolean;
  /** Shown only because something beneath it was asked for. */
  context: boolean;
  waits: Wait[];
}

const NONE: Wait[] = [];

export interface Tree {
  roots: Span[];
  children: Map<string, Span[]>;
}

/** Spans whose parent is not on record stand at the root; siblings by their start. */
export function tree(spans: Span[]): Tree {
  const known = new Set(spans.map((span) => span.span));
  const roots: Span[] = [];
  const children = new Map<string, Span[]>();
  for (const span of spans) {
    if (!span.parent || span.parent === span.span || !known.has(span.parent)) {
      roots.push(span);
      continue;
    }
    const siblings = children.get(span.parent);
    if (siblings) siblings.push(span);
    else children.set(span.parent, [span]);
  }
  const byStart = (a: Span, b: Span) => a.started - b.started;
  roots.sort(byStart);
  for (const siblings of children.values()) siblings.sort(byStart);
  return { roots, children };
}

/** Ids of the spans that fit, and of all that stand above them. */
export function withAncestors(spans: Span[], fits: (span: Span) => boolean): { fitting: Set<string>; kept: Set<string> } {
  const byId = new Map(spans.map((span) => [span.span, span]));
  const fitting = new Set<string>();
  const kept = new Set<string>();
  for (const span of spans) {
    if (!fits(span)) continue;
    fitting.add(span.span);
    let at: Span | undefined = span;
    while (at && !kept.has(at.span)) {
      kept.add(at.span);
      at = byId.get(at.parent);
    }
  }
  return { fitting, kept };
}

export interface Selection {
  collapsed: ReadonlySet<string>;
  /** null: all of them. */
  fits: ((span: Span) => boolean) | null;
}

export function rows(spans: Span[], waits: Wait[], { collapsed, fits }: Selection): Row[] {
  const { roots, children } = tree(spans);
  const chosen = fits ? withAncestors(spans, fits) : null;
  const waiting = new Map<string, Wait[]>();
  for (const wait of waits) waiting.set(wait.span, [...(waiting.get(wait.span) ?? []), wait]);
  const found: Row[] = [];
  const left: { span: Span; depth: number }[] = [];
  const push = (list: Span[], depth: number) => {
    for (let index = list.length - 1; index >= 0; index--) {
      const span = list[index];
      if (span && (!chosen || chosen.kept.has(span.span))) left.push({ span, depth });
    }
  };
  push(roots, 0);
  for (let next = left.pop(); next; next = left.pop()) {
    const { span, depth } = next;
    const below = children.get(span.span) ?? [];
    const open = below.length > 0 && !collapsed.has(span.span);
    found.push({
      span,
      depth,
      children: below.length,
      open,
      context: chosen !== null && !chosen.fitting.has(span.span),
      waits: waiting.get(span.span) ?? NONE,
    });
    if (open) push(below, depth + 1);
  }
  return found;
}

/** Ids above a span, so that they can be opened. */
export function above(spans: ReadonlyMap<string, Span>, id: string): string[] {
  const found: string[] = [];
  for (let at = spans.get(id); at?.parent && !found.includes(at.parent); at = spans.get(at.parent)) found.push(at.parent);
  return found;
}
