/** Plain data as text with its structure; always text, never markup. */

import type { ComponentChildren } from "preact";

const MOST_CHARACTERS = 60_000;

export function Json({ value }: { value: unknown }) {
  const text = typeof value === "string" ? value : (JSON.stringify(value, null, 2) ?? "null");
  const shown = text.slice(0, MOST_CHARACTERS);
  return (
    <pre class="json" tabIndex={0}>
      {typeof value === "string" ? shown : coloured(shown)}
      {text.length > shown.length ? `\n… ${text.length - shown.length} characters more` : ""}
    </pre>
  );
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function coloured(text: string): ComponentChildren[] {
  const parts: ComponentChildren[] = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > end) parts.push(text.slice(end, match.index));
    const kind = match[2] ? "key" : match[1] ? "text" : "value";
    parts.push(<span class={kind}>{match[1] ?? match[0]}</span>);
    if (match[2]) parts.push(match[2]);
    end = match.index + match[0].length;
  }
  parts.push(text.slice(end));
  return parts;
}
