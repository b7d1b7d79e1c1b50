/** Which lines of two texts differ: the longest common run of lines, by dynamic programming between equal ends. */

import type { DiffLine } from "../api/types_pages";

const MOST_CELLS = 4_000_000;

export function lineDiff(before: string, after: string): DiffLine[] {
  const a = before.split("\n");
  const b = after.split("\n");
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const lines: DiffLine[] = [];
  const same = (from: number, to: number) => lines.push({ op: "same", from: from + 1, to: to + 1, text: a[from] ?? "" });
  for (let at = 0; at < head; at++) same(at, at);
  middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail), head, lines);
  for (let at = 0; at < tail; at++) same(a.length - tail + at, b.length - tail + at);
  return lines;
}

function middle(a: string[], b: string[], head: number, lines: DiffLine[]): void {
  const width = b.length + 1;
  const fits = a.length * b.length <= MOST_CELLS;
  const longest = new Uint32Array(fits ? (a.length + 1) * width : 0);
  if (fits) {
    for (let i = a.length - 1; i >= 0; i--) {
      for (let j = b.length - 1; j >= 0; j--) {
        const below = longest[(i + 1) * width + j] ?? 0;
        const right = longest[i * width + j + 1] ?? 0;
        longest[i * width + j] = a[i] === b[j] ? (longest[(i + 1) * width + j + 1] ?? 0) + 1 : Math.max(below, right);
      }
    }
  }
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (fits && i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ op: "same", from: head + i + 1, to: head + j + 1, text: a[i] ?? "" });
      i++;
      j++;
    } else if (i < a.length && (j >= b.length || !fits || (longest[(i + 1) * width + j] ?? 0) >= (longest[i * width + j + 1] ?? 0))) {
      lines.push({ op: "remove", from: head + i + 1, to: null, text: a[i] ?? "" });
      i++;
    } else {
      lines.push({ op: "add", from: null, to: head + j + 1, text: b[j] ?? "" });
      j++;
    }
  }
}

/** The changed lines with a few around them; a gap stands where lines are left out. */
export function hunks(lines: DiffLine[], around = 3): (DiffLine | null)[] {
  const near = new Uint8Array(lines.length);
  lines.forEach((line, at) => {
    if (line.op === "same") return;
    for (let other = Math.max(0, at - around); other <= Math.min(lines.length - 1, at + around); other++) near[other] = 1;
  });
  const shown: (DiffLine | null)[] = [];
  lines.forEach((line, at) => {
    if (near[at]) shown.push(line);
    else if (shown.at(-1) !== null && shown.length) shown.push(null);
  });
  if (shown.at(-1) === null) shown.pop();
  return shown;
}
