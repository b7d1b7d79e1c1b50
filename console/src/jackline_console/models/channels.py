"""Whom alerts are sent to."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from jackline_console.models.basics import Page


class LastTold(BaseModel):
    """The last time that a channel was told something, or was to be."""

    at: float
    ok: bool
    error: str


class ChannelView(BaseModel):
    """One channel. Where it leads to and what it signs with stay in the bundle and the environment."""

    channel: str
    kind: Literal["webhook", "apprise", "alertmanager"]
    on: list[str]
    """What it is told of: `fired`, `resolved`, and of approvals."""
    last: LastTold | None
    waiting: int
    """Edges that it is still to be told."""
    dead: int
    """Edges that it was not told, after as many tries as the bundle allows."""


class ChannelList(Page[ChannelView]):
    """The channels, in the order of the bundle."""


class ChannelTried(BaseModel):
    """What became of a test."""

    channel: str
    done: Literal["tested"]
    ok: bool
    error: str
    who: str
    why: str
    at: float


class ChannelAgain(BaseModel):
    """What is tried anew."""

    channel: str
    done: Literal["tried again"]
    count: int
    who: str
    why: str
    at: float
