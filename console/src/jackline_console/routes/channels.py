"""The channels of alerts: how each stands, and a button that tries it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

from fastapi import APIRouter, Path

from jackline.events import AlertChannelTried
from jackline_console.access.gate import Operator, Viewer
from jackline_console.models.basics import Because
from jackline_console.models.channels import ChannelAgain, ChannelList, ChannelTried, ChannelView, LastTold
from jackline_console.problems import unknown
from jackline_console.routes.asking import Here

if TYPE_CHECKING:
    from jackline_console.alerts.delivery_channels import Channel

router = APIRouter(tags=["alerts"])
Name = Annotated[str, Path(max_length=200)]


@router.get("/alerts/channels")
def channels(here: Here, _who: Viewer) -> ChannelList:
    """Whom the bundle names under `notify:`, and how telling them went; never where they are, or a secret."""
    return ChannelList(items=[_view(one) for one in here.channels.listed()])


@router.post("/alerts/channels/{channel}/test")
def test_channel(here: Here, who: Operator, channel: Name, given: Because) -> ChannelTried:
    """Tell a channel, now, that nothing fires. That it cannot be told is an answer, not an error."""
    _known(here, channel)
    at = here.clock()
    here.record(AlertChannelTried(at=at, channel=channel, how="test", who=who.name, why=given.why))
    told = here.channels.test(channel, who.name, given.why)
    if told is None:
        _unknown(channel)
    ok, error = not told.error, told.error
    return ChannelTried(channel=channel, done="tested", ok=ok, error=error, who=who.name, why=given.why, at=at)


@router.post("/alerts/channels/{channel}/again")
def channel_again(here: Here, who: Operator, channel: Name, given: Because) -> ChannelAgain:
    """Try anew what a channel was not told in the end."""
    _known(here, channel)
    at = here.clock()
    here.record(AlertChannelTried(at=at, channel=channel, how="again", who=who.name, why=given.why))
    count = here.channels.again(channel) or 0
    return ChannelAgain(channel=channel, done="tried again", count=count, who=who.name, why=given.why, at=at)


def _known(here: Here, name: str) -> None:
    if all(one.target.name != name for one in here.channels.listed()):
        _unknown(name)


def _unknown(name: str) -> NoReturn:
    unknown("channel", name, "a name under `notify:` of the bundle", "GET /api/v1/alerts/channels lists them")


def _view(one: Channel) -> ChannelView:
    last = one.last
    return ChannelView(
        channel=one.target.name,
        kind=one.target.way,
        on=sorted(one.target.on),
        last=LastTold(at=last.at, ok=not last.error, error=last.error) if last is not None else None,
        waiting=one.counts.waiting,
        dead=one.counts.dead,
    )
