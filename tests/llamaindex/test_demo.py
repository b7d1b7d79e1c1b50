"""The three stories on real LlamaIndex agents."""

from __future__ import annotations

import pytest

from jackline.demo import agents_of, stories


@pytest.mark.parametrize("name", sorted(stories.STORIES))
def test_each_story_holds_on_a_real_agent(name: str) -> None:
    told = stories.STORIES[name](agents_of("llamaindex"), 3, lambda *_: None)
    assert told.holds, told.why
    assert told.ungoverned["decisions"] == 0
    assert told.governed["decisions"] > 0
