"""What LangChain's objects cannot offer is refused when they are attached, for a policy that needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from provider import Completion

from jackline.errors import BundleError
from jackline.testing.scripted import Guards, refusing, replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def guards(tmp_path: Path) -> Iterator[Guards]:
    made = Guards(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("action", ["model.call", "model.return"])
def test_a_completion_model_is_not_attached_where_a_policy_changes_what_it_is_sent_or_says(
    action: Any, guards: Guards
) -> None:
    with pytest.raises(BundleError) as refused:
        guards(replacing(action, "a", "b")).attach(Completion(job=None))
    assert str(refused.value) == (
        f"policy 'p0' needs to change {action}, which 'Completion' cannot offer: prompts and answers of text "
        "completion models are judged and refused, never changed; "
        "narrow its `on:` or `agents:`, or let it observe (`mode: observe`)"
    )


def test_it_is_attached_where_policies_only_judge(guards: Guards) -> None:
    model = Completion(job=None)
    assert guards(refusing("model.call", "no", agent="")).attach(model) is not model
