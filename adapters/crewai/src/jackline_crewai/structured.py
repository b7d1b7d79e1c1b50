"""What CrewAI asks a model for beside its own models: JSON for a task, through a client of the library `instructor`."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jackline_crewai import models
from jackline_crewai.following import FOLLOWING

if TYPE_CHECKING:
    from collections.abc import Callable

    Body = Callable[..., Any]


class Client:
    """The model as such a call goes by it: its name, and no limit of what it writes."""

    limitless = True

    def __init__(self, native: Any) -> None:
        name = native if isinstance(native, str) else str(getattr(native, "model", ""))
        self.model = name
        self.provider = str(getattr(native, "provider", "") or name.partition("/")[0])


def instructed(body: Body) -> Body:
    """Around `InternalInstructor.to_pydantic`, which also a call of LiteLLM's leads to."""

    def to_pydantic(self: Any) -> Any:
        followers = FOLLOWING.active(self.llm)
        if not followers or models.continues(self.llm):
            return body(self)

        def ask(_: Any, messages: Any, **__: Any) -> Any:
            asked = copy.copy(self)
            asked.content = messages[0]["content"]
            found = body(asked)
            with suppress(Exception):  # whatever a provider's answer is made of
                models.told(found._raw_response.usage.model_dump())  # noqa: SLF001 - where instructor keeps it
            return found

        sent = {"messages": [{"role": "user", "content": self.content}], "response_model": self.model}
        return models.call_model(followers, ask, Client(self.llm), (), sent)

    return to_pydantic
