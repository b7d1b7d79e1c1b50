"""From a bundle's bytes to built policies: every step goes on after a problem, so that one load finds them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from jackline.alert_rules import DEFAULTS, KINDS, RuleEntry, in_force, made
from jackline.answers import Approver, Approvers
from jackline.build_context import BuildContext, Placed, condition_problem, wrong_type
from jackline.bundle_model import FORMAT, INLINE, BundleFile, PolicyEntry
from jackline.condition import Condition, ConditionError, Schema, compile_condition
from jackline.errors import BundleError, PluginError, Problem
from jackline.notices.target import EDGES, Target
from jackline.policy import PHASES, Granting, Policy, Reach
from jackline.validation import validate
from jackline.wording import nearest
from jackline.yaml_source import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jackline.alert_rules import AlertRule
    from jackline.decision import Mode
    from jackline.engine import OnError
    from jackline.plugins import Plugins
    from jackline.request import Action
    from jackline.yaml_source import Path

_HINTS = {
    "jackline": f"the file starts with `jackline: {FORMAT}`",
    "policies": "write `policies:` and a list; an empty one is `policies: []`",
    "name": "give the policy a name of its own",
    "use": "say which policy it is: `use: rule`",
    "effect": "write `effect:` and allow, escalate, deny or halt",
}


_KEYS = frozenset({*BundleFile.model_fields, *PolicyEntry.model_fields, *INLINE, "with"})


class Part(NamedTuple):
    """What one entry of the file became."""

    name: str
    use: str
    policy: Policy
    options: Any
    agents: Condition | None
    mode: Mode
    on_error: OnError
    trusted: bool


class Loaded(NamedTuple):
    """A file without problems."""

    file: BundleFile
    parts: list[Part]
    placed: list[Placed]
    approvers: Approvers
    targets: tuple[Target, ...]
    alerts: tuple[AlertRule, ...]
    unanswered: tuple[Problem, ...]


class Loader:
    """One load of one file."""

    def __init__(
        self,
        data: bytes,
        file: str,
        plugins: Plugins,
        *,
        prices: Callable[[], Any],
        tool_schemas: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.document = parse(data, file)
        self._registrations = plugins.registrations
        self._prices = prices
        self._tool_schemas = tool_schemas
        self._schema = Schema.default()
        self._agent_schema = self._schema.only("agent")
        self._problems: list[Problem] = list(self.document.problems)
        self._placed: list[Placed] = []
        self._unanswered: list[Problem] = []
        self._approvers: Approvers | None = None

    def load(self) -> Loaded:
        """Check and build everything. Raises BundleError with all problems, in the file's order."""
        data = self.document.data
        if not isinstance(data, dict):
            self._note((), "a bundle is a map", f"the file starts with `jackline: {FORMAT}`")
            raise self._error()
        self._refuse_empty((), data)
        file, found = validate(BundleFile, data, self.document, hints=_HINTS)
        self._problems += found
        self._approvers = self._people(file) if file is not None else None
        targets = self._targets(file) if file is not None else ()
        alerts = self._alerts(file) if file is not None else ()
        policies = data.get("policies")
        built = [self._part(place, item) for place, item in enumerate(policies if isinstance(policies, list) else ())]
        self._check_names(policies)
        if self._problems or file is None:
            raise self._error()
        parts = [part for part in built if part is not None]
        return Loaded(
            file, parts, self._placed, self._approvers or Approvers(), targets, alerts, tuple(self._unanswered)
        )

    def _people(self, file: BundleFile) -> Approvers:
        """The approvers and groups; a group of nobody known, or one person under two names, is a problem."""
        people = {name: Approver(name=name, key=one.key, user=one.user) for name, one in file.approvers.items()}
        keys: dict[str, str] = {}
        known: dict[str, str] = {}
        for name, one in people.items():
            if one.key in keys:
                message = f"'{name}' has the key of '{keys[one.key]}': one person would count as two"
                self._note(("approvers", name, "key"), message, "each approver has a key of their own")
            keys.setdefault(one.key, name)
            same = next((known[each] for each in sorted(one.known_as) if each in known), "")
            if same:
                message = f"'{name}' is the user of '{same}': one person would count as two"
                self._note(("approvers", name), message, "each approver is another person")
            known |= dict.fromkeys(one.known_as, name)
        for group, members in file.groups.items():
            if group in people:
                self._note_key(("groups", group), f"'{group}' is an approver already", "call the group something else")
            for member in members:
                if member not in people:
                    self._note(("groups", group), f"'{member}' is no approver", nearest(member, people))
        return Approvers(people, file.groups)

    def _targets(self, file: BundleFile) -> tuple[Target, ...]:
        """Who is told; one that is not told in exactly one way is a problem."""
        found: list[Target] = []
        for name, said in file.notify.items():
            path: Path = ("notify", name)
            on = frozenset(said.on)
            if sum(way is not None for way in (said.webhook, said.apprise, said.alertmanager)) != 1:
                ways = "write either `webhook` and `secret`, or `apprise`, or `alertmanager`"
                self._note(path, f"'{name}' is told by one of three ways", ways)
            elif said.webhook is not None and said.secret is None:
                self._note(path, f"what '{name}' gets would not be signed", "write `secret: env:NAME`")
            elif said.apprise is not None and said.secret is not None:
                self._note((*path, "secret"), "apprise signs nothing", "leave it out: it belongs to `webhook`")
            elif said.alertmanager is not None:
                if "on" in said.model_fields_set:
                    self._note((*path, "on"), "an Alertmanager is told of alerts, whole", "leave it out")
                on = frozenset(EDGES)
            names = ("webhook", "secret", "apprise", "alertmanager")
            told = {each: getattr(said, each) or "" for each in names}
            found.append(Target(name, on, **told, attempts=said.attempts))
        return tuple(found)

    def _alerts(self, file: BundleFile) -> tuple[AlertRule, ...]:
        """The rules of alerts in force; each one's thresholds are those of its kind."""
        said = {name: self._alert(("alerts", "rules", name), name, item) for name, item in file.alerts.rules.items()}
        for name, rule in said.items():
            for channel in rule.channels if rule is not None else ():
                if channel not in file.notify:
                    path = ("alerts", "rules", name, "channels")
                    hint = nearest(channel, file.notify) or "name it under `notify:`"
                    self._note(path, f"'{channel}' is nobody who is told", hint)
        return in_force(file.alerts, said)

    def _alert(self, path: Path, name: str, item: Any) -> AlertRule | None:
        """One rule; None where it is switched off or wrong."""
        if not isinstance(item, dict):
            self._note(path, f"'{name}' is no rule of alerts", "write a map: {kind: loop}, or {enabled: false}")
            return None
        for key in [key for key, value in item.items() if value is None]:
            self._note((*path, key), f"`{key}` is empty", "write a value, or leave the key out")
        entry, found = validate(RuleEntry, item, self.document, lambda rest: (*path, *rest))
        self._problems += found
        if entry is None:
            return None
        kind = entry.kind or DEFAULTS.get(name)
        known = KINDS.get(kind or "")
        if known is None and kind is None:
            meant = nearest(name, DEFAULTS)
            close = meant if meant.startswith("did") else f"add `kind:`; known: {', '.join(KINDS)}"
            self._note_key(path, "`kind` is missing", close)
            return None
        if known is None:
            self._note((*path, "kind"), f"`kind` is '{kind}'", nearest(str(kind), KINDS))
            return None
        when, wrong = validate(known.when, entry.when, self.document, lambda rest: (*path, "when", *rest))
        self._problems += wrong
        if entry.by is not None and entry.by not in known.by:
            self._note((*path, "by"), f"'{kind}' is not told apart by {entry.by}", f"known: {', '.join(known.by)}")
        return made(name, str(kind), entry, when) if when is not None and entry.enabled else None

    def _part(self, place: int, item: Any) -> Part | None:
        path: Path = ("policies", place)
        if not isinstance(item, dict):
            self._note(path, "a policy is a map", "write `- name:` and `use:`")
            return None
        self._refuse_empty(path, item)
        shared = {key: value for key, value in item.items() if key not in INLINE}
        entry, found = validate(
            PolicyEntry, shared, self.document, lambda rest: (*path, *rest), beside=INLINE, hints=_HINTS
        )
        self._problems += found
        agents = self._condition((*path, "agents"), item.get("agents"), self._agent_schema)
        policy_class = self._class(path, item.get("use"))
        if policy_class is None:
            return None
        options = self._options(path, item, policy_class)
        if entry is None or options is None:
            if "when" in getattr(policy_class, "inline", ()):
                self._condition((*path, "when"), item.get("when"), self._schema)
            return None
        policy = self._build(path, entry, policy_class, options)
        if policy is None:
            return None
        trusted = self._registrations.first_party(entry.use) if entry.trusted is None else entry.trusted
        return Part(entry.name, entry.use, policy, options, agents, entry.mode, entry.on_error or "deny", trusted)

    def _class(self, path: Path, use: Any) -> Any:
        if not isinstance(use, str):
            return None
        try:
            return self._registrations.policy(use)
        except PluginError as error:
            message, _, hint = str(error).partition("; ")
            self._note((*path, "use"), message, hint)
            return None

    def _options(self, path: Path, item: dict[str, Any], policy_class: Any) -> Any:
        """Check the options: what stands under `with:`, and the keys that the class takes beside it."""
        inline: frozenset[str] = getattr(policy_class, "inline", frozenset())
        under = item.get("with", {})
        for key in INLINE:
            if key in item and key not in inline:
                self._note_key((*path, key), f"`{key}` belongs to `use: rule`", "leave it out")
        if not isinstance(under, dict):
            return None
        misplaced = [key for key in under if key in inline]
        for key in misplaced:
            self._note_key((*path, "with", key), f"`{key}` does not stand under `with:`", "write it beside `use:`")
        data = {key: value for key, value in under.items() if key not in misplaced}
        data |= {key: item[key] for key in INLINE if key in inline and key in item}
        try:
            options, found = validate(
                policy_class.Options, data, self.document, lambda rest: _around(path, inline, rest), hints=_HINTS
            )
        except Exception as error:  # noqa: BLE001 - a pack's fault is a problem of the bundle that uses it
            message = f"the options of '{item['use']}' could not be checked: {type(error).__name__}: {error}"
            self._note((*path, "with"), message)
            return None
        self._problems += found
        return options

    def _condition(self, path: Path, source: Any, schema: Schema) -> Condition | None:
        if not isinstance(source, str):
            return None
        try:
            condition = compile_condition(source, schema)
        except ConditionError as error:
            self._problems.append(condition_problem(self.document, path, source, error))
            return None
        if (message := wrong_type(condition, "bool")) is not None:
            self._note(path, message, "compare it with a value")
        return condition

    def _build(self, path: Path, entry: PolicyEntry, policy_class: Any, options: Any) -> Policy | None:
        inline: frozenset[str] = getattr(policy_class, "inline", frozenset())
        context = BuildContext(
            entry,
            self.document,
            lambda rest: _around(path, inline, rest),
            schema=self._schema,
            prices=self._prices,
            tool_schemas=self._tool_schemas,
            registrations=self._registrations,
            approvers=self._approvers,
        )
        context.options = options
        try:
            policy = policy_class.build(entry.name, options, context)
            fault = None if context.problems else _fault(policy) or _narrow(policy, context.on)
        except ValueError as error:
            fault = str(error)
        except Exception as error:  # noqa: BLE001 - a pack's fault is a problem of the bundle that uses it
            fault = f"policy '{entry.use}' could not be built: {type(error).__name__}: {error}"
        self._problems += context.problems
        self._placed += context.placed
        self._unanswered += context.unanswered
        if fault is not None:
            self._note((*path, "use"), fault)
            return None
        return policy  # type: ignore[no-any-return]

    def _check_names(self, policies: Any) -> None:
        first: dict[str, int] = {}
        for place, item in enumerate(policies if isinstance(policies, list) else ()):
            name = item.get("name") if isinstance(item, dict) else None
            if not isinstance(name, str):
                continue
            if name in first:
                line = self.document.place(("policies", first[name], "name")).line
                message = f"the name '{name}' is used twice; the first is on line {line}"
                self._note(("policies", place, "name"), message, "call one of the two something else")
            first.setdefault(name, place)

    def _refuse_empty(self, path: Path, data: dict[str, Any]) -> None:
        """A key without a value is a slip: an empty `when:` must not mean always."""
        for key, value in data.items():
            if value is None and key in _KEYS:
                self._note((*path, key), f"`{key}` is empty", "write a value, or leave the key out")

    def _note(self, path: Path, message: str, hint: str = "") -> None:
        self._problems.append(self.document.problem(path, message, hint))

    def _note_key(self, path: Path, message: str, hint: str = "") -> None:
        self._problems.append(Problem(self.document.file, *self.document.key_place(path), message, hint))

    def _error(self) -> BundleError:
        """All problems by place; where the form is wrong, what follows from that is left out."""
        first: dict[tuple[int, int], Problem] = {}
        for problem in self._problems:
            first.setdefault((problem.line, problem.column), problem)
        return BundleError(problems=tuple(sorted(first.values(), key=lambda problem: (problem.line, problem.column))))


def _around(path: Path, inline: frozenset[str], rest: Path) -> Path:
    """Turn a path within a policy's options into one within the file."""
    return (*path, *rest) if rest and rest[0] in inline else (*path, "with", *rest)


def _fault(policy: Any) -> str | None:
    kind = type(policy).__name__
    if not isinstance(policy, Policy):
        return f"what {kind} built is no policy: it needs phase, reach, evaluate and observe"
    phase: Any = policy.phase
    reach: Any = policy.reach
    if phase not in PHASES:
        return f"{kind} has the phase {phase!r}, expected one of {', '.join(PHASES)}"
    return None if isinstance(reach, Reach) else f"{kind} has the reach {reach!r}, expected a Reach"


def _narrow(policy: Policy, on: frozenset[Action] | None) -> str | None:
    """Ask the policy only on the actions that its entry names."""
    if on is None:
        return None
    reach = policy.reach
    actions = on if reach.actions is None else frozenset(reach.actions & on)
    if not actions:
        answered = ", ".join(sorted(reach.actions or ())) or "nothing"
        return f"it answers only {answered}, none of which `on` names"
    if actions == reach.actions:
        return None
    policy.reach = Reach(actions=actions, tools=reach.tools, tool_prefixes=reach.tool_prefixes)
    if isinstance(policy, Granting):
        policy.governs = frozenset(policy.governs & on)
    return None
