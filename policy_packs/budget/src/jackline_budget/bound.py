"""How many tokens and what money a call can take at most, before it is made."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from jackline.plain import canonical
from jackline.prices import Price, Rates

if TYPE_CHECKING:
    from jackline.request import Model, Request

REQUEST_TOKENS = 32
"""What a chat template puts around a conversation."""
MESSAGE_TOKENS = 16
"""What it puts around a message: role and separators."""
TOOL_TOKENS = 16
"""What it puts around the schema of a tool."""
TOOL_PROMPT_TOKENS = 600
"""What a provider adds of its own where tools are offered (Anthropic documents up to 530)."""

TIGHT_MARGIN = 1.15


def default_price(per_input: int, per_output: int) -> Price:
    """The price that a bundle gives for models that the price table does not know: pico-dollars for a token."""
    rates = Rates(
        input=per_input,
        cache_read=per_input,
        cache_write=per_input,
        dearest_input=per_input,
        output=per_output,
        reasoning=per_output,
        dearest_output=per_output,
    )
    return Price(tiers=(rates,), source="configured default")


class Output(NamedTuple):
    """The output tokens that a call may want."""

    tokens: int
    shrink: bool
    choices: int


def input_tokens(request: Request) -> int:
    """The most input tokens that the rendered request can be.

    A byte-level tokenizer makes no more tokens than there are UTF-8 bytes; what templates and providers add
    is counted on top. Images, audio and files are outside it (`Model.opaque_input`).
    """
    model, args = request.model, request.args
    size = model.input_bytes if model is not None else 0
    if size <= 0 and args:
        size = len(canonical(args))
    messages: Any = args.get("messages") or args.get("texts") or ()
    around = REQUEST_TOKENS + MESSAGE_TOKENS * (len(messages) if isinstance(messages, (list, tuple)) else 1)
    if model is not None and model.tools:
        around += TOOL_PROMPT_TOKENS + TOOL_TOKENS * len(model.tools)
    return size + around


def tightened(tokens: int, ratio: float | None) -> int:
    """The bound in the light of what earlier calls of the session made of theirs; `tokens` where there were none."""
    return tokens if ratio is None else min(tokens, math.ceil(tokens * ratio * TIGHT_MARGIN))


def output_tokens(model: Model | None, assumed: int) -> Output:
    """The output that a call wants: as it declares, else `assumed`, which is passed on where that is possible."""
    if model is None:
        return Output(assumed, shrink=False, choices=1)
    declared = model.max_tokens
    if declared is None or declared <= 0:
        declared = assumed
    return Output(declared, model.can_limit, model.choices if model.choices > 0 else 1)
