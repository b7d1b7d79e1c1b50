"""What a bundle may say, what is wrong with it, and what a reload announces."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from breaking import breaker

import jackline_circuit_breaker
from jackline.bundle import load_bundle
from jackline.bundle_schema import bundle_schema
from jackline.errors import BundleError
from jackline.plugins import installed_plugins
from jackline_circuit_breaker import CircuitBreaker


def bundle(options: str) -> Any:
    return load_bundle(f"jackline: 1\npolicies:\n  - name: loops\n    use: circuit_breaker\n    with: {options}\n")


def test_is_found_by_its_name() -> None:
    target = installed_plugins().registrations.target("policy", "circuit_breaker")
    assert target.distribution.startswith("jackline-circuit-breaker")
    with pytest.raises(AttributeError, match="module 'jackline_circuit_breaker' has no attribute 'Nothing'"):
        _ = jackline_circuit_breaker.Nothing


def test_a_single_value_stands_for_the_whole() -> None:
    options = CircuitBreaker.Options.model_validate(
        {"cycles": "halt", "steps": 200, "wall_time": "2h", "depth": 0, "polls": {"tools": ["job.*"]}}
    )
    assert options.cycles == CircuitBreaker.Options.model_validate({"cycles": {"action": "halt"}}).cycles
    assert (options.steps.max, options.wall_time.max, options.depth.max) == (200, 7200.0, 0)
    assert (options.steps.action, options.depth.action, options.fan_out) == ("halt", "deny", None)


@pytest.mark.parametrize("action", ["off", "record", "deny", "halt"])
def test_yaml_and_its_schema_take_both_forms(action: str) -> None:
    text = f"{{cycles: {action}, no_progress: {{action: {action}, at: 4}}, steps: 9, wall_time: 2h}}"
    if action == "off":
        text = f"{{cycles: {action}, steps: 9, wall_time: 2h}}"
    policy = bundle(text).entries[0].policy
    assert policy.options.cycles.action == action


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{cycels: deny}", "bundle:5:12: unknown key `cycels`; did you mean 'cycles'?"),
        ("{cycles: denied}", "bundle:5:20: `cycles.action` is 'denied'; did you mean 'deny'?"),
        ("{steps: none}", "bundle:5:19: `steps.max` is 'none', expected a whole number"),
        ("{steps: 0}", "bundle:5:19: `steps.max` is 0: it should be greater than 0"),
        (
            "{wall_time: 90}",
            "bundle:5:23: `wall_time.max`: 90 is not a duration; write a number with ms, s, m, h, d or w: 30m",
        ),
        ("{no_progress: {at: 25}}", "bundle:5:30: `no_progress.at` is 25: it should be less than or equal to 24"),
        (
            "{errors: {open_for: 1h}}",
            "open_for is nothing, or more than longest; write for example open_for: 30s, longest: 10m",
        ),
        ("{polls: {tools: ['']}}", "'' is not a name: it is empty, or has space around it; write the name alone"),
        ("{polls: {tools: ['[b-a]']}}", "'[b-a]' can never match; the range in its character class runs backwards"),
        ("{errors: {action: off, streak: 3}}", "bundle:5:42: `streak` has no effect here; errors is off: leave it out"),
        (
            "{no_progress: off, repeats: off, cycles: off, errors: off, same_result: off, similar: off, cost: off}",
            "bundle:5:11: a circuit breaker whose detectors are all off; leave one on, or take the policy out",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(options: str, message: str) -> None:
    with pytest.raises(BundleError) as error:
        bundle(options)
    assert message in str(error.value)


WIDENED = [
    ({"cycles": "halt"}, {"cycles": "deny"}, ["cycles: was halt, is deny"]),
    ({}, {"no_progress": {"at": 5}}, ["no_progress: at was 3, is 5"]),
    ({}, {"errors": {"open_for": "10s", "streak": 5}}, ["errors: streak was 4, is 5", "errors: open_for was 30, is 10"]),
    ({"errors": {"results": ["Error*"]}}, {}, ["errors: a result such as Error* is not counted any more"]),
    ({"steps": 5}, {}, ["steps: was taken away"]),
    ({"wall_time": "1h"}, {"wall_time": "2h"}, ["wall_time: max was 3600, is 7200"]),
    ({}, {"halt_after": None}, ["halt_after: was taken away"]),
    ({}, {"quiet": "5m"}, ["quiet: was 600, is 300"]),
    ({}, {"halt_after": 9}, ["halt_after: was 5, is 9"]),
    ({}, {"polls": {"tools": ["job.*"], "unchanged": 40}},
     ["polls: job.* may be called again and again", "polls: unchanged was 30, is 40"]),
    ({}, {"repeats": "off", "similar": {"at": 9}}, []),
    ({"no_progress": {"at": 5}}, {"no_progress": "halt", "steps": 4}, []),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "ways"), WIDENED)
def test_a_reload_says_how_it_permits_more(old: Any, new: Any, ways: list[str]) -> None:
    assert list(breaker(**new).widens(breaker(**old))) == ways


def test_the_schema_of_the_bundle_knows_the_options() -> None:
    schema = bundle_schema(installed_plugins())
    entry = {"name": "loops", "use": "circuit_breaker"}
    for options in (
        {"cycles": "halt", "steps": 9, "wall_time": "2h"},
        {"errors": {"open_for": "1m"}, "depth": {"max": 3}},
    ):
        jsonschema.validate({"jackline": 1, "policies": [{**entry, "with": options}]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"jackline": 1, "policies": [{**entry, "with": {"cycles": "never"}}]}, schema)
