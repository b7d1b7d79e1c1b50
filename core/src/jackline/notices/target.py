"""Where notices go, as a bundle names it: a signed webhook or a service that apprise knows; secrets by reference."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from jackline.errors import JacklineError

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["asked", "answered", "expired", "used"]
"""What is told of approvals."""
KINDS: tuple[Kind, ...] = get_args(Kind)
Edge = Literal["fired", "resolved"]
"""What is told of alerts."""
EDGES: tuple[Edge, ...] = get_args(Edge)

REFERENCE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]{0,127})")
"""How a bundle refers to a secret: by the name of an environment variable of the process that sends."""
ATTEMPTS = 12
"""How often a delivery is tried where the bundle does not say: with doubling pauses, for about two hours."""


class NoticeError(JacklineError):
    """Notices cannot be kept or sent."""


class Target(NamedTuple):
    """One place that is told."""

    name: str
    on: frozenset[Kind | Edge]
    webhook: str = ""
    """A URL, or a reference to one; empty where it is told in another way."""
    secret: str = ""
    """A reference to the webhook's signing secret, or to the Alertmanager's bearer token."""
    apprise: str = ""
    """A reference to an apprise URL."""
    attempts: int = ATTEMPTS
    alertmanager: str = ""
    """The URL of a Prometheus Alertmanager, or a reference to one."""

    @property
    def way(self) -> Literal["webhook", "apprise", "alertmanager"]:
        """How it is told."""
        return "alertmanager" if self.alertmanager else "apprise" if self.apprise else "webhook"

    def resolved(self, environ: Mapping[str, str]) -> Target:
        """The same with the secrets that it refers to. Raises NoticeError where one is not there."""
        return self._replace(
            webhook=self._value("webhook", environ),
            secret=self._value("secret", environ),
            apprise=self._value("apprise", environ),
            alertmanager=self._value("alertmanager", environ),
        )

    def _value(self, key: str, environ: Mapping[str, str]) -> str:
        said: str = getattr(self, key)
        found = REFERENCE.fullmatch(said)
        if found is None:
            return said
        value = environ.get(found[1], "")
        if not value:
            raise NoticeError(
                f"notify '{self.name}': {key} is {said}, and this process's environment has no {found[1]}"
            )
        return value
