"""Slack, Teams, e-mail, PagerDuty and a hundred others, through apprise, which is installed by whoever uses it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from jackline.notices.target import NoticeError

if TYPE_CHECKING:
    from jackline.notices.message import Message


def required(target: str) -> Any:
    """The module `apprise`. Raises NoticeError where it is not installed."""
    try:
        return importlib.import_module("apprise")
    except ImportError as error:
        told = "pip install jackline[notify]"
        raise NoticeError(
            f"notify '{target}' needs apprise, which cannot be imported here ({error}): {told}"
        ) from error


def prepared(url: str, target: str) -> Any:
    """What sends to one service, loaded. Raises NoticeError, which never says the URL: it holds the service's token."""
    service = required(target).Apprise()
    if not service.add(url):
        raise NoticeError("apprise does not know such a URL")
    return service


def send(url: str, notice: Message, target: str) -> None:
    """Tell one service. Raises NoticeError, which never says the URL."""
    apprise, service = required(target), prepared(url, target)
    try:
        taken = service.notify(body=notice.text, title=notice.title, body_format=apprise.NotifyFormat.TEXT)
    except Exception as error:
        raise NoticeError(f"apprise raised {type(error).__name__}") from error
    if not taken:
        raise NoticeError("apprise could not deliver it")
