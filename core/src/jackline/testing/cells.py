"""The cells of behaviour x path: a test for each one that applies, a reason for every other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from jackline.adapter import CHANGING, policy_gaps
from jackline.errors import BundleError, JacklineError
from jackline.testing.behaviours import KEY, Behaviour, behaviours_of, cells, refused
from jackline.testing.paths import Bodies, Job
from jackline.testing.results import SUITE
from jackline.testing.scripted import Guards, refusing, replacing
from jackline.testing.story import FIND, HIDDEN, LEAK, LEAKING, NO, PAY, PROMPT, SECRET, STORY, policy_needing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path as Folder

    from jackline.adapter import Adapter
    from jackline.guard import Guard
    from jackline.testing.paths import Path
    from jackline.testing.scripted import Scripted


class Cells:
    """What a suite of behaviours on paths has, whatever the behaviours are."""

    adapter: ClassVar[Any]
    """An instance of the adapter."""

    @classmethod
    def paths(cls) -> list[Path]:
        """The ways to run the framework."""
        raise NotImplementedError

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """A test for each path that a behaviour applies to; the other cells are in the matrix with their reasons."""
        row: Behaviour | None = getattr(metafunc.function, "behaviour", None)
        if row is not None:
            found = [path for path in cls.paths() if not (path.lacks(row.needs) or path.gap or row.id in path.gaps)]
            metafunc.parametrize("path", found or [_nowhere(row)], ids=lambda path: path and path.name)
        elif "refusal" in metafunc.fixturenames:
            pairs = list(refused(behaviours_of(cls), cls.paths()))
            found_pairs = [pytest.param(pair, id=f"{pair[1].id}-{pair[0].name}") for pair in pairs]
            metafunc.parametrize("refusal", found_pairs or [pytest.param(None, id="everything-is-offered")])

    @pytest.fixture
    def guards(self, tmp_path: Folder) -> Iterator[Guards]:
        """Makes guards; they are closed in the end."""
        made = Guards(tmp_path)
        yield made
        made.close()

    @pytest.fixture(autouse=True)
    def _cell(self, request: pytest.FixtureRequest) -> None:
        """Say in the report which cell the test proves."""
        row: Behaviour | None = getattr(request.function, "behaviour", None)
        if row is not None:
            path: Path = request.getfixturevalue("path")
            request.node.user_properties.append(
                (KEY, [[self.adapter.name, row.id, path.name, path.group, "proven", ""]])
            )

    def job(self, path: Path, guard: Guard, bodies: Bodies | None = None, steps: Any = STORY, **more: Any) -> Job:
        """A job for a path; one that calls no tool has only the story's last word."""
        steps = steps if "tools" in path.carries else steps[-1:]
        return Job(guard, bodies or Bodies(), steps, PROMPT, "job-1", **more)

    def refusing(self, path: Path, **more: Any) -> Scripted:
        """A policy that refuses what the path does first: the tool `pay`, or whatever is sent."""
        tool = PAY.tool if "tools" in path.carries else ""
        return refusing(path.action, NO, agent=path.agent, tool=tool, **more)

    def test_what_is_not_offered_is_refused(
        self, refusal: tuple[Path, Behaviour] | None, guards: Guards, request: pytest.FixtureRequest
    ) -> None:
        """A gap is an error that says so before anything happens, for a policy that needs it; never a quiet skip."""
        if refusal is None:
            assert not any(path.gap or path.gaps for path in self.paths())
            return
        path, row = refusal
        request.node.user_properties.append((KEY, self._not_offered(path, row)))
        policy = policy_needing(row.id) or self.refusing(path)
        job = self.job(path, guards(policy), Bodies({FIND.tool: f"it is {LEAK} indeed"}), LEAKING)
        outcome = path.do(job)
        assert isinstance(outcome.error, JacklineError), outcome.error
        assert str(outcome.error)
        assert "violet" not in outcome.words
        assert path.action != "tool.call" or not job.bodies.ran

    def _not_offered(self, path: Path, row: Behaviour) -> list[list[str]]:
        rows = behaviours_of(type(self)) if path.gap else (row,)
        found = cells(self.adapter.name, self.adapter.gaps(), rows, [path])
        return [list(cell) for cell in found if cell.state == "not offered"]

    def test_a_policy_that_needs_a_gap_is_refused(self, guards: Guards) -> None:
        """Where the adapter cannot offer something at all, a guard with a policy that needs it does not use it."""
        gaps = self.adapter.gaps()
        for need in policy_gaps(gaps):
            action: Any = need.removeprefix(CHANGING)
            policy = refusing(action, NO, agent="") if action == need else replacing(action, SECRET, HIDDEN)
            guard = guards(policy)
            with pytest.raises(BundleError) as refused:
                guard.govern(self.adapter)
            assert f"policy 'p0' needs to {'judge' if action == need else 'change'} {action}" in str(refused.value)
            assert gaps[need] in str(refused.value)
            guards(policy, mode="observe").govern(self.adapter)
        guards().govern(self.adapter)

    def test_every_cell_has_an_answer(self, record_property: Any) -> None:
        """Each behaviour on each path is proven, refused with the adapter's reason, or not applicable with one."""
        paths, rows = self.paths(), behaviours_of(type(self))
        adapter: Adapter = self.adapter
        table = cells(adapter.name, adapter.gaps(), rows, paths)
        assert len({path.name for path in paths}) == len(paths), "two paths have the same name"
        assert len(table) == len(paths) * len(rows)
        assert all(cell.reason for cell in table if cell.state != "proven")
        for path in paths:
            assert path.gap or any(cell.state == "proven" for cell in table if cell.path == path.name), path.name
        record_property(KEY, [list(cell) for cell in table if cell.state == "not applicable"])
        names = [path.name for path in paths]
        gaps = dict(adapter.gaps())
        record_property(
            SUITE, {"adapter": adapter.name, "behaviours": [_plain(row) for row in rows], "paths": names, "gaps": gaps}
        )


def _nowhere(row: Behaviour) -> Any:
    return pytest.param(None, id="nowhere", marks=pytest.mark.skip(reason=f"no path carries {', '.join(row.needs)}"))


def _plain(row: Behaviour) -> list[Any]:
    return [row.id, row.says, list(row.needs)]
