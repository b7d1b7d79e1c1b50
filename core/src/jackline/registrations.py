"""What plugins have named, by kind; a target is imported when it is first asked for."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from jackline.errors import PluginError
from jackline.wording import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KINDS: Mapping[str, str] = {
    "policy": "jackline_register_policies",
    "adapter": "jackline_register_adapters",
    "store": "jackline_register_stores",
    "sink": "jackline_register_sinks",
    "detector": "jackline_register_detectors",
}
"""The kinds of targets and the hook that registers each."""

PACKS: Mapping[str, str] = {
    "tool_access": "jackline-tool-access",
    "budget": "jackline-budget",
    "circuit_breaker": "jackline-circuit-breaker",
    "pii": "jackline-pii",
    "escalation": "jackline-escalation",
}
"""The distributions that bring this project's own policies."""

_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_MEMBERS = ("build", "evaluate", "observe")


class Failure(NamedTuple):
    """A plugin that could not be used: its name, its distribution with version, and the reason."""

    plugin: str
    distribution: str
    reason: str


class Target(NamedTuple):
    """One registration; `facts` has what only adapters say: `roots`, `supports`."""

    kind: str
    name: str
    target: str
    plugin: str
    distribution: str
    facts: Mapping[str, Any]

    @classmethod
    def checked(
        cls, kind: str, name: str, target: str, plugin: str, distribution: str, facts: Mapping[str, Any]
    ) -> Target:
        """Make a target, or raise PluginError where its name or its text cannot be right."""
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise PluginError(f"plugin '{plugin}' registers a {kind} as {name!r}; expected a name like 'my_{kind}'")
        if not isinstance(target, str) or not _TARGET.fullmatch(target):
            message = f"plugin '{plugin}' registers {kind} '{name}' as {target!r}; expected text like 'package:Class'"
            raise PluginError(message)
        return cls(kind, name, target, plugin, distribution, facts)

    @property
    def origin(self) -> str:
        """The distribution with version, or the plugin's name where it is not installed as one."""
        return self.distribution or f"plugin '{self.plugin}'"

    def load(self) -> Any:
        """Import the target. Raises PluginError that names the distribution and the reason."""
        module_name, _, attribute = self.target.partition(":")
        start = f"{self.kind} '{self.name}' from {self.origin} cannot be used: "
        try:
            module = importlib.import_module(module_name)
        except Exception as error:
            raise PluginError(f"{start}importing {module_name} raised {type(error).__name__}: {error}") from error
        try:
            return getattr(module, attribute)
        except AttributeError:
            hint = nearest(attribute, [name for name in vars(module) if not name.startswith("_")])
            raise PluginError(f"{start}{module_name} has no '{attribute}'; {hint}") from None


class Registrations:
    """Everything that the plugins have named, and the plugins that failed."""

    def __init__(self) -> None:
        self.failures: tuple[Failure, ...] = ()
        self._targets: dict[str, dict[str, list[Target]]] = {kind: {} for kind in KINDS}

    def add(self, target: Target) -> None:
        """Take a registration in. Two plugins that use one name are told apart when the name is used."""
        self._targets[target.kind].setdefault(target.name, []).append(target)

    def fail(self, failure: Failure) -> None:
        """Note a plugin that could not be used."""
        self.failures = (*self.failures, failure)

    def names(self, kind: str) -> tuple[str, ...]:
        """The registered names of a kind, in alphabetical order."""
        return tuple(sorted(self._targets[kind]))

    def targets(self, kind: str) -> tuple[Target, ...]:
        """The registrations of a kind, by name."""
        return tuple(target for name in self.names(kind) for target in self._targets[kind][name])

    def target(self, kind: str, name: str) -> Target:
        """Find a registration. Raises PluginError where nothing, or more than one plugin, has this name."""
        found = self._targets[kind].get(name, [])
        if len(found) == 1:
            return found[0]
        if found:
            origins = " and ".join(target.origin for target in found)
            raise PluginError(f"{kind} '{name}' is registered by {origins}; uninstall one of them")
        hint = self._failed() or self._nearest(kind, name)
        raise PluginError(f"unknown {kind} '{name}'; {hint}" if hint else f"unknown {kind} '{name}'")

    def policy(self, name: str) -> Any:
        """Import the class of a policy. Raises PluginError that says what is wrong with it."""
        if name in PACKS and name not in self._targets["policy"]:
            failed = self._failed((PACKS[name],))
            hint = failed or f"install it: pip install {PACKS[name]}"
            raise PluginError(f"the policy '{name}' is not {'usable' if failed else 'installed'}; {hint}")
        target = self.target("policy", name)
        found = target.load()
        if (wrong := policy_fault(found)) is not None:
            raise PluginError(f"policy '{name}' from {target.origin} is no policy: {target.target} {wrong}")
        return found

    def adapter(self, name: str) -> Any:
        """Import an adapter's class."""
        return self.target("adapter", name).load()

    def store(self, name: str) -> Any:
        """Import a store's class."""
        return self.target("store", name).load()

    def sink(self, name: str) -> Any:
        """Import a sink's class."""
        return self.target("sink", name).load()

    def detector(self, name: str) -> Any:
        """Import a detector's class. Raises PluginError that says what is wrong with it."""
        target = self.target("detector", name)
        found = target.load()
        if not isinstance(found, type) or not callable(getattr(found, "find", None)):
            what = "has no find()" if isinstance(found, type) else f"is a {type(found).__name__}, expected a class"
            raise PluginError(f"detector '{name}' from {target.origin} cannot be used: {target.target} {what}")
        return found

    def first_party(self, name: str) -> bool:
        """Whether a policy comes from this project: its distribution is trusted to answer quickly."""
        distribution = self.target("policy", name).distribution.partition(" ")[0]
        return distribution == PACKS.get(name, "jackline")

    def _nearest(self, kind: str, name: str) -> str:
        """Say what was probably meant, among what is installed and what this project has."""
        packs = set(PACKS) - set(self.names(kind)) if kind == "policy" else set()
        hint = nearest(name, {*self.names(kind), *packs})
        missing = next((pack for pack in packs if hint == f"did you mean '{pack}'?"), None)
        return f"{hint} It is not installed: pip install {PACKS[missing]}" if missing else hint

    def _failed(self, distributions: Iterable[str] = ()) -> str:
        """Say which plugins failed, of these distributions or of all: one may have brought what is missing."""
        wanted = tuple(distributions)
        failed = [
            failure
            for failure in self.failures
            if not wanted or failure.distribution.partition(" ")[0].replace("_", "-") in wanted
        ]
        return "; ".join(f"{failure.distribution or failure.plugin} failed: {failure.reason}" for failure in failed)


def policy_fault(found: Any) -> str | None:
    """Say why a target is no policy class, or None where it is one."""
    if not isinstance(found, type):
        return f"is a {type(found).__name__}, expected a class"
    missing = [member for member in _MEMBERS if not callable(getattr(found, member, None))]
    if missing:
        return f"has no {' and no '.join(f'{member}()' for member in missing)}"
    options = getattr(found, "Options", None)
    config = getattr(options, "model_config", None)
    if not isinstance(options, type) or config is None:
        return "has no Options, a class derived from jackline.options.Options"
    if config.get("extra") != "forbid":
        return "has Options that let unknown keys pass; derive them from jackline.options.Options"
    return None
