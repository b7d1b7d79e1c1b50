"""An approver's private key: a file in the person's own configuration folder, never in the home that agents write."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jackline.answers import public_text
from jackline.errors import JacklineError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_OTHERS = 0o077


def folder() -> Path:
    """`$JACKLINE_CONFIG/keys`, or `jackline/keys` in the user's configuration folder."""
    named = os.environ.get("JACKLINE_CONFIG")
    if named:
        return Path(named).expanduser() / "keys"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Preferences" / "jackline" / "keys"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "jackline" / "keys"


def made(name: str) -> tuple[Path, str, bool]:
    """The key of an approver, made where there is none: its file, its public half, and whether it is new."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - only approvers need it
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    if not _NAME.fullmatch(name):
        raise JacklineError(f"{name!r} is no approver's name: letters, digits, '_', '.', '@' and '-' were expected")
    path = folder() / f"{name}.pem"
    if path.exists():
        return path, public_text(load(name)[1]), False
    key = Ed25519PrivateKey.generate()
    data = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        raise JacklineError(f"the key {path} cannot be written: {error.strerror}; set JACKLINE_CONFIG") from error
    return path, public_text(key), True


def pinned(name: str, public: str) -> str:
    """The line under `approvers:` that pins a key. Who is called by an address has another name there."""
    short, mark, _ = name.partition("@")
    return f'  {short}: {{{f"user: {name}, " if mark else ""}key: "{public}"}}'


def load(name: str = "") -> tuple[str, Ed25519PrivateKey]:
    """The name and key of an approver; without a name, of the only one there is. Raises JacklineError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    known = sorted(path.stem for path in folder().glob("*.pem"))
    if not name and len(known) != 1:
        listed = f"there are several keys ({', '.join(known)}); say which: --as NAME" if known else "there is no key"
        raise JacklineError(listed if known else f"{listed} in {folder()}; make one: jackline approvals key NAME")
    name = name or known[0]
    path = folder() / f"{name}.pem"
    if name not in known:
        raise JacklineError(f"there is no key {path}; make one: jackline approvals key {name}")
    if path.stat().st_mode & _OTHERS:
        raise JacklineError(f"others can read the key {path}; whoever has it answers as '{name}': chmod 600 {path}")
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise JacklineError(f"the key {path} cannot be read: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise JacklineError(f"the key {path} is no Ed25519 key; make one: jackline approvals key NAME")
    return name, key
