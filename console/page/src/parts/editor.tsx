/** The editor of bundles: CodeMirror in a shadow root, where its style sheets need no exception of the page's CSP. */

import { autocompletion, closeBrackets, completionKeymap, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { forceLinting, linter, lintGutter, type Diagnostic } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { EditorState, type Text } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, highlightSpecialChars, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "preact/hooks";
import type { Fault } from "../api/types";
import type { Completion } from "../api/types_pages";

interface Props {
  /** What it begins with, and what it holds again when `reset` changes; in between the editor is ahead of it. */
  text: string;
  reset: number;
  editable: boolean;
  change: (text: string) => void;
  /** What is wrong with a text; also tells what else the page shows of it. */
  validate: (text: string) => Promise<Fault[]>;
  complete: (text: string, line: number, column: number) => Promise<{ items: Completion[]; from: number; to: number }>;
  /** Line (from 1) to go to. */
  line: number | null;
}

const THEME = EditorView.theme({
  "&": { fontSize: "13px", backgroundColor: "var(--surface)", color: "var(--text)", height: "100%" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55", fontFeatureSettings: '"calt" 0', overflow: "auto" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--text-3)", border: "none", borderRight: "1px solid var(--line)" },
  "&.cm-focused": { outline: "none" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--accent) 6%, transparent)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    background: "color-mix(in srgb, var(--accent) 24%, transparent)",
  },
  ".cm-tooltip": { backgroundColor: "var(--surface)", color: "var(--text)", border: "1px solid var(--line-strong)", borderRadius: "6px", boxShadow: "var(--shadow)" },
  ".cm-tooltip-autocomplete > ul > li": { fontFamily: "var(--mono)", padding: "3px 8px" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent-soft)", color: "var(--text)" },
  ".cm-completionDetail": { color: "var(--text-3)", fontStyle: "normal", marginLeft: "12px" },
  ".cm-diagnostic": { fontFamily: "var(--sans)", padding: "6px 10px" },
  ".cm-panels": { backgroundColor: "var(--sunken)", color: "var(--text)" },
});

const COLOURS = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--code-key)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-text)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--code-value)" },
  { tag: [tags.comment, tags.lineComment], color: "var(--text-3)", fontStyle: "italic" },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], color: "var(--text-2)" },
]);

export function Editor(props: Props) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const now = useRef(props);
  now.current = props;
  useEffect(() => {
    const at = place.current;
    if (!at) return undefined;
    const root = at.shadowRoot ?? at.attachShadow({ mode: "open" });
    const made = new EditorView({ state: state(now), parent: root, root });
    view.current = made;
    return () => made.destroy();
  }, [props.editable]);
  useEffect(() => {
    const made = view.current;
    if (!made || made.state.doc.toString() === props.text) return;
    made.dispatch({ changes: { from: 0, to: made.state.doc.length, insert: props.text } });
    forceLinting(made);
  }, [props.reset]);
  useEffect(() => {
    const made = view.current;
    if (!made || props.line === null || props.line < 1 || props.line > made.state.doc.lines) return;
    const at = made.state.doc.line(props.line).from;
    made.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
  }, [props.line, props.reset]);
  return <div class="editor" ref={place} />;
}

function state(now: { current: Props }): EditorState {
  const { text, editable } = now.current;
  return EditorState.create({
    doc: text,
    extensions: [
      lineNumbers(),
      highlightSpecialChars(),
      history(),
      drawSelection(),
      indentOnInput(),
      indentUnit.of("  "),
      closeBrackets(),
      highlightActiveLine(),
      highlightSelectionMatches(),
      yaml(),
      syntaxHighlighting(COLOURS),
      THEME,
      EditorState.readOnly.of(!editable),
      EditorView.contentAttributes.of({ "aria-label": "The bundle", spellcheck: "false" }),
      lintGutter(),
      linter(async (view) => (await now.current.validate(view.state.doc.toString())).map((fault) => diagnostic(view.state.doc, fault)), { delay: 350 }),
      autocompletion({ override: [(context) => complete(context, now.current)] }),
      keymap.of([...completionKeymap, ...searchKeymap, ...historyKeymap, ...defaultKeymap, indentWithTab]),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) now.current.change(update.state.doc.toString());
      }),
    ],
  });
}

/** From line and column (both from 1) to what the editor marks: the word there. */
export function diagnostic(doc: Text, fault: Fault): Diagnostic {
  const line = doc.line(Math.max(1, Math.min(doc.lines, fault.line ?? 1)));
  const from = Math.min(line.to, line.from + Math.max(0, (fault.column ?? 1) - 1));
  const word = /^[\w.'"-]+/.exec(line.text.slice(from - line.from))?.[0].length ?? 1;
  const message = fault.hint ? `${fault.message}. ${fault.hint}` : fault.message;
  return { from, to: Math.min(line.to, from + Math.max(1, word)), severity: "error", message };
}

async function complete(context: CompletionContext, props: Props): Promise<CompletionResult | null> {
  const line = context.state.doc.lineAt(context.pos);
  const before = line.text.slice(0, context.pos - line.from);
  if (!context.explicit && !/[\w.]$/.test(before)) return null;
  const found = await props.complete(context.state.doc.toString(), line.number, context.pos - line.from + 1);
  if (context.aborted || !found.items.length) return null;
  return {
    from: line.from + Math.max(0, found.from - 1),
    to: Math.min(line.to, line.from + Math.max(0, found.to - 1)),
    options: found.items.map((item) => ({
      label: item.label,
      apply: item.insert,
      detail: item.detail,
      type: { key: "property", value: "enum", root: "variable", function: "function" }[item.kind] ?? "text",
      ...(item.documentation ? { info: item.documentation } : {}),
    })),
  };
}
