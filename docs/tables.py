"""Keep the documentation's tables as the code is: `python docs/tables.py` writes them, `--check` only compares."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from jackline import alert_rules, bundle_model, decision, events, hookspecs
from jackline.condition.functions import FUNCTIONS
from jackline.condition.schema import Schema
from jackline.events import acts

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]

MEANINGS = {
    "action": "what was to be done: one of GLOSSARY.md's actions",
    "agent": "the agent's key: `name` or `name@version`",
    "PolicyEntry.mode": "`observe` records what it would have decided",
    "BundleFile.policies": "the policies; see below",
    "BundleFile.mode": "`observe`: the whole bundle only watches",
    "AgentSeen.agent": "the agent as it was first seen",
    "approval": "SHA-256 over the exact action: 64 hex digits",
    "application": "the root application that the session belongs to",
    "boot": "what tells this start of the machine from others",
    "cache_read": "input tokens that the provider read from its cache",
    "cache_write": "input tokens that the provider wrote to its cache",
    "call_id": "the framework's own id of the call",
    "cap": "the ceiling of the scope, in the unit",
    "claims": "what a meter wanted held before the act",
    "confidence": "0 to 1",
    "cost": "what was charged; absent where nothing is known to be",
    "count": "how many",
    "depth": "how many agents stand above this one",
    "duration_ms": "from the decision to the outcome, in milliseconds",
    "effect": "`allow`, `modify`, `escalate`, `deny` or `halt`",
    "error": "what went wrong; empty where nothing did",
    "evaluated": "the names of all policies that were asked",
    "expires": "from then on (Unix seconds) the answer is no",
    "external_id": "the id by which the application or framework knows the session",
    "findings": "what was seen, without the value itself",
    "fingerprint": "of the tool's schema: 16 hex digits",
    "fixed": "what the act takes whatever its output is, in the unit",
    "held": "held for this act, in the unit",
    "holds": "one part for each scope",
    "host": "the machine's name",
    "how": "why it ended",
    "input": "tokens sent, cached ones included",
    "jackline": "Jackline's version",
    "journal": "the journal's id",
    "kind": "what was seen",
    "labels": "what the application says of the session",
    "limits": "declared limits, tightened: `max_tokens`",
    "micro_usd": "millionths of a dollar, rounded up",
    "mode": "`enforce` or `observe`",
    "model": "the model's name",
    "models": "the models that it uses",
    "namespace": "what keeps equal external ids of two applications apart",
    "next": "the segment that goes on; empty at the end",
    "note": "a word of explanation",
    "notes": "findings about the result",
    "on_exceed": "the effect where the scope cannot hold it",
    "output": "tokens answered, reasoning included",
    "needed": "how many approvers must agree",
    "parent": "the span above; empty at a root",
    "parent_run": "the run that started this one; empty at a root",
    "pause": "true: the session may be reopened to go on",
    "pid": "the process",
    "policies": "the names of the bundle's policies",
    "policy": "the policy that decided",
    "provenance": "where values come from that conditions asked about, by their path",
    "previous": "the revision before",
    "python": "Python's version",
    "reason": "in a sentence, for a person or a model",
    "reasoning": "output tokens that were spent on reasoning",
    "reservation": "what was held for the act",
    "resource": "the tool's, model's, agent's, retriever's or host's name",
    "revision": "of the bundle in force: 64 hex digits",
    "rule": "the line of the policy's data that decided",
    "run": "one invocation of one agent: 32 hex digits",
    "scope": "the ledger's key: policy, scope and window",
    "segment": "1 for the first",
    "session": "the session's id: 32 hex digits",
    "settled": "what the ledger booked, by scope",
    "size": "bytes of the canonical form",
    "source": "the file that the bundle was read from",
    "span": "the timed step: 16 hex digits",
    "tool": "the tool with its fingerprint",
    "tools": "the tools that it has",
    "to": "the approvers and groups that the bundle names; empty for all",
    "unit": "`usd` (micro-dollars), `tokens` or `calls`",
    "usage": "tokens of a model call",
    "user": "for whom the agents act",
    "verdicts": "every policy's answer",
    "who": "the human who did it",
    "why": "the reason that they gave",
    "would": "what would have been decided had the policies in observe mode been enforced",
}
"""What fields mean that many records share; a docstring under the field says what is particular."""


def fields(module: ModuleType, name: str) -> list[tuple[str, str, str]]:
    """Give name, type and meaning of a record's fields, from its source; a docstring under the field comes first."""
    classes = [node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.ClassDef)]
    body = next(node.body for node in classes if node.name == name)
    found: list[tuple[str, str, str]] = []
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            field = node.target.id
            meaning = MEANINGS.get(f"{name}.{field}") or MEANINGS.get(field, "")
            found.append((field, ast.unparse(node.annotation), meaning))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and found:
            found[-1] = (*found[-1][:2], inspect.cleandoc(str(node.value.value)).replace("\n", " "))
    return found


def record(module: ModuleType, name: str, heading: str) -> str:
    """Describe one record: a heading, its docstring's first line, its fields."""
    doc = inspect.getdoc(getattr(module, name)) or ""
    lines = [f"### {heading}", "", doc.splitlines()[0], "", "| field | type | meaning |", "|---|---|---|"]
    for field, kind, meaning in fields(module, name):
        escaped = kind.replace("|", r"\|")
        lines.append(f"| `{field}` | `{escaped}` | {meaning} |")
    return "\n".join(lines)


def event_kinds() -> str:
    """One section for each kind of event."""
    return "\n\n".join(
        record(sys.modules[cls.__module__], cls.__name__, f"`{kind}`") for kind, cls in events.KINDS.items()
    )


def event_parts() -> str:
    """One section for each record that events hold."""
    parts = [(decision, name) for name in ("Verdict", "Finding", "Claim", "Reservation", "Hold")]
    parts += [(acts, name) for name in ("Usage", "Cost", "Http")]
    return "\n\n".join(record(module, name, name) for module, name in parts)


def hooks() -> str:
    """One row for each hook."""
    lines = ["| hook | called with | what it is for |", "|---|---|---|"]
    for name, function in inspect.getmembers(hookspecs, inspect.isfunction):
        if name.startswith("jackline_register_"):
            doc = (inspect.getdoc(function) or "").splitlines()
            lines.append(f"| `{name}` | `{', '.join(inspect.signature(function).parameters)}` | {doc[0]} |")
    return "\n".join(lines)


def written(kind: str) -> str:
    """Say a setting's type as people write it in YAML."""
    kind = re.sub(r"^Annotated\[(\w+), .*\]$", r"\1", kind.removesuffix(" | None"))
    if kind.startswith("dict["):
        return "map"
    said = {
        "Actions": "an action or a list",
        "AlertsSection": "map",
        "TrustedTools": "a name, a glob or a list",
        "list[Any]": "list",
        "Duration": "a duration",
        "Names": "a name or a list",
        "Literal[1]": "`1`",
    }
    values = get_args(getattr(bundle_model, kind, None) or getattr(alert_rules, kind, None))
    if values and all(isinstance(value, str) for value in values):
        return ", ".join(f"`{value}`" for value in values)
    return said.get(kind, "text" if kind in ("str", "Name") else "true or false" if kind == "bool" else f"`{kind}`")


def settings(name: str, module: ModuleType = bundle_model) -> str:
    """One row for each key of the bundle's file, or of an entry."""
    lines = ["| key | type | meaning |", "|---|---|---|"]
    for field, kind, meaning in fields(module, name):
        lines.append(f"| `{field.rstrip('_')}` | {written(kind)} | {meaning} |")
    return "\n".join(lines)


def alert_kinds() -> str:
    """One section for each kind of signal: its default rule, its thresholds and what they are unless said."""
    names = {kind: name for name, kind in alert_rules.DEFAULTS.items()}
    found = []
    for name, kind in alert_rules.KINDS.items():
        by = ", ".join(f"`{each}`" for each in kind.by)
        doc = (inspect.getdoc(kind.when) or "").splitlines()[0]
        told = f"{doc} Default rule: `{names[name]}`, severity `{kind.severity}`; told apart by {by}."
        lines = [f"### `{name}`: {kind.about}", "", told]
        rows = fields(alert_rules, kind.when.__name__)
        if rows:
            lines += ["", "| `when:` | default | meaning |", "|---|---|---|"]
            lines += [
                f"| `{field}` | {_usual(kind.when, field, type_)} | {meaning} |" for field, type_, meaning in rows
            ]
        found.append("\n".join(lines))
    return "\n\n".join(found)


def _usual(model: type[alert_rules.Options], field: str, kind: str) -> str:
    """A threshold's default as people write it."""
    value = model.model_fields[field].default
    if value is None:
        return ""
    if "Money" in kind:
        return f"{value / 1_000_000:.2f} USD"
    if "Duration" in kind:
        return next(f"{value / size:g}{unit}" for size, unit in ((3600, "h"), (60, "m"), (1, "s")) if not value % size)
    return f"{value:g}"


def roots() -> str:
    """One row for each root and field that conditions may name."""
    lines = ["| name | type | is |", "|---|---|---|"]
    lines += [f"| `{entry.path}` | {entry.type} | {entry.summary} |" for entry in Schema.default().entries()]
    return "\n".join(lines)


def functions() -> str:
    """One row for each function that conditions may call."""
    lines = ["| function | gives |", "|---|---|"]
    for function in FUNCTIONS.values():
        calls = "<br>".join(f"`{signature}`" for signature in function.signatures)
        lines.append(f"| {calls} | {function.summary} |")
    return "\n".join(lines)


TABLES: list[tuple[str, str, Callable[[], str]]] = [
    ("docs/events.md", "kinds", event_kinds),
    ("docs/events.md", "parts", event_parts),
    ("docs/hooks.md", "hooks", hooks),
    ("docs/policies.md", "bundle", lambda: settings("BundleFile")),
    ("docs/policies.md", "entry", lambda: settings("PolicyEntry")),
    ("docs/alerts.md", "alerts", lambda: settings("AlertsSection", alert_rules)),
    ("docs/alerts.md", "rule", lambda: settings("RuleEntry", alert_rules)),
    ("docs/alerts.md", "kinds", alert_kinds),
    ("docs/conditions.md", "roots", roots),
    ("docs/conditions.md", "functions", functions),
]
"""Document, marker, and what stands between `<!-- marker:begin -->` and `<!-- marker:end -->`."""


def filled(document: str, marker: str, text: str) -> str:
    """Put a text between a document's markers."""
    begin, end = f"<!-- {marker}:begin -->", f"<!-- {marker}:end -->"
    before, found, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        message = f"no {begin} ... {end} in the document"
        raise ValueError(message)
    return f"{before}{begin}\n{text}\n{end}{after}"


def stale(*, write: bool) -> list[str]:
    """Name the tables that are not as the code is; with `write`, put them right."""
    behind = []
    for name, marker, make in TABLES:
        path = ROOT / name
        document = path.read_text(encoding="utf-8")
        new = filled(document, marker, make())
        if new != document:
            behind.append(f"{name}: {marker}")
            if write:
                path.write_text(new, encoding="utf-8")
    return behind


if __name__ == "__main__":
    check = "--check" in sys.argv[1:]
    behind = stale(write=not check)
    print("\n".join(behind) or "all tables are as the code is")
    sys.exit(bool(check and behind))
