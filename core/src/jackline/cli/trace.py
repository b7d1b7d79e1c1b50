"""`trace`: one session as a tree of runs, model calls and tool calls, each with what was decided and by whom."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from jackline.cli import output, state
from jackline.errors import JacklineError
from jackline.facts import origin
from jackline.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.text import Text
    from rich.tree import Tree

    from jackline.home import Home
    from jackline.journal.payloads import Payload
    from jackline.stores import ApprovalRow, SessionRow, SpanRow

_REFUSED = ("escalate", "deny", "halt")
_WORDS = {"allow": "allowed", "modify": "modified", "escalate": "escalated", "deny": "denied", "halt": "halted"}
_PREVIEW = 2000


class Only(StrEnum):
    """Which steps `--only` keeps; those above them stay, for the place."""

    denied = "denied"
    failed = "failed"
    unknown = "unknown"


def trace(
    ctx: typer.Context,
    session: Annotated[str, typer.Argument(help="A session's id, the beginning of it, or its external id.")],
    only: Annotated[
        Only | None, typer.Option(help="Only steps that were denied, failed, or have no known outcome.")
    ] = None,
    payloads: Annotated[
        bool, typer.Option("--payloads", help="Also show what is kept of arguments and results.")
    ] = False,
    as_json: output.Json = False,
) -> None:
    """Show everything that a session did, and who decided about each step and why, allowed or not.

    For example: jackline trace 4f1c --only denied
    """
    with state.index(ctx.obj) as found:
        row = state.session_named(found, session)
        every = list(found.store.spans(row.session))
        spans = _kept(every, only)
        kept = _payloads(ctx.obj, spans) if payloads else {}
        asked = list(found.store.approvals(row.session))
        if as_json:
            told = {"session": {**row.plain(), "tokens": row.tokens}, "spans": [span.plain() for span in spans]}
            told["approvals"] = [each.plain() for each in asked]
            if payloads:
                told["payloads"] = {digest: msgspec.to_builtins(item) for digest, item in kept.items()}
            output.answer({**told, **found.standing()})
            return
        found.tell()
    output.show(_tree(row, spans, kept if payloads else None, asked))
    if only is not None:
        output.say(f"{sum(_matches(span, only) for span in spans)} of {len(every)} steps {only.value}")


def _kept(spans: Sequence[SpanRow], only: Only | None) -> list[SpanRow]:
    """The steps that `only` asks for, and those above them."""
    if only is None:
        return list(spans)
    by_id = {span.span: span for span in spans}
    wanted: set[str] = set()
    for span in spans:
        above: SpanRow | None = span if _matches(span, only) else None
        while above is not None and above.span not in wanted:
            wanted.add(above.span)
            above = by_id.get(above.parent)
    return [span for span in spans if span.span in wanted]


def _matches(span: SpanRow, only: Only) -> bool:
    if only is Only.denied:
        return span.effect in _REFUSED or span.return_effect in _REFUSED
    return bool(span.outcome == only.value)


def _tree(
    row: SessionRow, spans: Sequence[SpanRow], kept: Mapping[str, Payload] | None, asked: Sequence[ApprovalRow]
) -> Tree:
    """The tree by parents; a step whose parent is not on record stands at the root."""
    from rich.tree import Tree  # noqa: PLC0415 - for people only

    root = Tree(_title(row), highlight=False)
    nodes: dict[str, Tree] = {}
    waiting = {span.span: span for span in spans}
    while waiting:
        ready = [span for span in waiting.values() if span.parent not in waiting or span.parent == span.span]
        for span in ready or list(waiting.values())[:1]:  # a ring of parents is cut where it is first met
            del waiting[span.span]
            nodes[span.span] = nodes.get(span.parent, root).add(_line(span, row.started))
            for label, digest in (("args", span.args), ("result", span.result)) if kept is not None else ():
                if digest:
                    nodes[span.span].add(output.text(f"{label}: {_payload(digest, kept or {})}", "dim"))
    for each in asked:
        if each.span in nodes:
            nodes[each.span].add(_question(each))
        if each.used_span in nodes and each.used_span != each.span:
            nodes[each.used_span].add(_permission(each))
    return root


def _question(row: ApprovalRow) -> Text:
    """What people were asked about a step, and what became of it."""
    said = [f"approval {row.approval[:12]}: {row.state}"]
    if row.by:
        said.append(f"by {' and '.join(row.by)}{f': {row.why}' if row.why else ''}")
    elif row.state == "pending":
        said.append(f"until {output.moment(row.expires)}; {row.needed} of {', '.join(row.to) or 'all approvers'}")
    if row.edited:
        said.append("with other arguments")
    if row.refused:
        said.append(f"{counted(row.refused, 'answer')} refused: {row.refused_why}")
    return output.text("  ".join(said), {"consumed": "green", "pending": "yellow"}.get(row.state, "red"))


def _permission(row: ApprovalRow) -> Text:
    """Who permitted a step that was asked about before."""
    changed = "  with other arguments" if row.edited else ""
    why = f": {row.why}" if row.why else ""
    return output.text(f"approved by {' and '.join(row.by)}{why}{changed}  (approval {row.approval[:12]})", "green")


def _title(row: SessionRow) -> Text:
    facts = [f"session {row.session}", row.external_id and f"({row.external_id})", row.user and f"for {row.user}"]
    facts += [output.moment(row.started), output.cost(row.cost_micro_usd, row.unpriced), f"{row.tokens} tokens"]
    title = output.text("")
    title.append_text(output.text("  ".join(fact for fact in facts if fact), "bold"))
    if row.halted:
        title.append_text(output.text(f"\nhalted by {_by(row.halt_policy, row.halt_rule)}: {row.halt_reason}", "red"))
    elif row.state == "crashed":
        title.append_text(output.text("\nits process died: what it did after the last line is unknown", "yellow"))
    return title


def _line(span: SpanRow, began: float) -> Text:
    line = output.text("")
    line.append_text(output.text(f"+{span.started - began:.3f}s ", "dim"))
    line.append_text(output.text(f"{span.kind} {_name(span)}", "bold"))
    if span.kind != "run" and span.model and span.model != span.name:
        line.append_text(output.text(f" (answered: {span.model})"))
    for fact in _facts(span):
        line.append_text(output.text(f"  {fact}"))
    if span.would and span.effect == "allow":  # what is named is who would have refused
        observed = _decided(span.would, span.policy, span.rule, span.reason)
        line.append_text(output.text(f"  allowed (observed: would be {observed})", "yellow"))
    elif span.effect:
        line.append_text(_decision(span.effect, span.policy, span.rule, span.reason))
        if span.would:
            line.append_text(output.text(f"  (observed: would be {_WORDS.get(span.would, span.would)})", "yellow"))
    if span.return_effect and span.return_effect != "allow":
        line.append_text(output.text("  result"))
        line.append_text(_decision(span.return_effect, span.return_policy, span.return_rule, span.return_reason))
    line.append_text(_outcome(span))
    return line


def _name(span: SpanRow) -> str:
    """A step's name; that of an outgoing request with how it went out."""
    return f"{span.method} {origin(span.scheme, span.name, span.port)}" if span.method else span.name


def _facts(span: SpanRow) -> list[str]:
    facts = []
    if span.status:
        facts.append(f"{span.status}")
    if span.duration_ms is not None:
        facts.append(output.span(span.duration_ms / 1000))
    facts += [f"{size} bytes {what}" for size, what in ((span.sent, "sent"), (span.received, "received")) if size]
    if span.input_tokens or span.output_tokens:
        sign = "at most " if span.estimated else ""
        cached = f" ({span.cache_read_tokens} cached)" if span.cache_read_tokens else ""
        facts.append(f"{sign}{span.input_tokens}{cached} + {span.output_tokens} tokens")
    if span.cost_micro_usd is not None:
        facts.append(output.usd(span.cost_micro_usd))
    elif span.kind == "model.call" and span.outcome == "completed":
        facts.append("unpriced")
    return facts


def _decision(effect: str, policy: str, rule: str, reason: str) -> Text:
    told = f"  {_decided(effect, policy, rule, reason)}"
    return output.text(told, "red" if effect in _REFUSED else "yellow" if effect == "modify" else "green")


def _decided(effect: str, policy: str, rule: str, reason: str) -> str:
    why = f": {reason}" if reason else ""
    return f"{_WORDS.get(effect, effect)} by {_by(policy, rule)}{why}"


def _by(policy: str, rule: str) -> str:
    if not policy:
        return "default: no policy objected"
    return f"{policy} ({rule})" if rule else policy


def _outcome(span: SpanRow) -> Text:
    if span.outcome == "unknown":
        held = f", {output.usd(span.held_micro_usd)} booked as spent" if span.held_micro_usd else ""
        return output.text(f"  outcome unknown{held}", "yellow")
    if span.outcome == "failed":
        return output.text(f"  failed: {span.error}", "yellow")
    return output.text("  running", "green") if span.outcome == "running" else output.text("")


def _payloads(home: Home, spans: Sequence[SpanRow]) -> dict[str, Payload]:
    """What is kept of the steps' arguments and results, the messages of model calls among it."""
    from jackline.journal import find_payloads  # noqa: PLC0415 - only where it is asked for

    try:
        found = find_payloads(
            home.payloads, {digest for span in spans for digest in (span.args, span.result) if digest}
        )
        messages = {digest for payload in found.values() for digest in _messages(payload.value)}
        return {**found, **(find_payloads(home.payloads, messages) if messages else {})}
    except OSError as error:
        raise JacklineError(f"the payloads in {home.payloads} cannot be read: {error.strerror}") from error


def _messages(value: Any) -> list[str]:
    """The digests that stand for a model call's messages."""
    found = value.get("messages") if isinstance(value, dict) else None
    digests = found.get("$payloads") if isinstance(found, dict) else None
    return [digest for digest in digests if isinstance(digest, str)] if isinstance(digests, list) else []


def _payload(digest: str, kept: Mapping[str, Payload]) -> str:
    found = kept.get(digest)
    if found is None:
        return f"not kept ({digest})"
    if found.erased:
        return f"erased ({digest})"
    value = found.value
    messages = _messages(value)
    if messages:
        value = {**value, "messages": [kept[item].value if item in kept else f"not kept ({item})" for item in messages]}
    told = json.dumps(value, ensure_ascii=False)
    cut = "..." if len(told) > _PREVIEW or found.cut else ""
    return f"{told[:_PREVIEW]}{cut} ({found.size} bytes, {found.capture})"
