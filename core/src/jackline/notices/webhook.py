"""A signed POST, as Standard Webhooks has it: any receiver's library for that verifies it.

Signed are `id.timestamp.body`, with HMAC-SHA256 (`v1,`) or Ed25519 (`v1a,`): the id tells a repetition, the time an
old recording.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Final

from jackline.notices.target import NoticeError

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARED: Final = "whsec_"
"""Begins a secret that both sides have; the rest is the base64 of 24 to 64 bytes."""
PRIVATE: Final = "whsk_"
"""Begins an Ed25519 private key; the rest is the base64 of its 32 bytes."""
PUBLIC: Final = "whpk_"
TIMEOUT_S: Final = 10.0
_SHORTEST, _LONGEST = 24, 64
_KEY_BYTES = 32


class Secret:
    """What signs: `Secret("whsec_...")` or `Secret("whsk_...")`. Raises NoticeError, which never says the secret."""

    def __init__(self, text: str) -> None:
        prefix = next((each for each in (SHARED, PRIVATE) if text.startswith(each)), None)
        try:
            data = base64.b64decode(text[len(prefix) :], validate=True) if prefix else b""
        except binascii.Error:
            data = b""
        self._shared = data if prefix == SHARED and _SHORTEST <= len(data) <= _LONGEST else b""
        self._private: Any = None
        if prefix == PRIVATE and len(data) == _KEY_BYTES:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - rare

            self._private = Ed25519PrivateKey.from_private_bytes(data)
        if not self._shared and self._private is None:
            expected = f"{SHARED} and the base64 of 24 to 64 bytes, or {PRIVATE} and the base64 of {_KEY_BYTES} bytes"
            raise NoticeError(f"a webhook's secret is not what it must be: expected {expected}")

    def signature(self, name: str, timestamp: int, body: bytes) -> str:
        """The header's value for one message; `timestamp` in Unix seconds."""
        content = f"{name}.{timestamp}.".encode() + body
        if self._shared:
            return f"v1,{base64.b64encode(hmac.digest(self._shared, content, hashlib.sha256)).decode()}"
        return f"v1a,{base64.b64encode(self._private.sign(content)).decode()}"

    @property
    def public(self) -> str:
        """What a receiver verifies with; empty where it is the secret itself."""
        if self._private is None:
            return ""
        return PUBLIC + base64.b64encode(self._private.public_key().public_bytes_raw()).decode()


def headers(secret: Secret, name: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of one message."""
    return {
        "content-type": "application/json",
        "user-agent": "jackline",
        "webhook-id": name,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": secret.signature(name, timestamp, body),
    }


def post(url: str, body: bytes, told: Mapping[str, str], timeout: float = TIMEOUT_S) -> None:
    """Send it; returns when the receiver took it (2xx). Raises NoticeError, which never says the URL."""
    request = urllib.request.Request(url, data=body, headers=dict(told), method="POST")  # noqa: S310 - checked when loaded
    try:
        with _OPENER.open(request, timeout=timeout):
            return
    except urllib.error.HTTPError as error:
        error.close()
        raise NoticeError(f"it answered {error.code}") from None
    except ssl.SSLError as error:
        raise NoticeError(f"its certificate or TLS is refused: {error.reason or type(error).__name__}") from None
    except urllib.error.URLError as error:
        reason = error.reason
        told_ = getattr(reason, "strerror", None) or type(reason).__name__
        raise NoticeError(f"it cannot be reached: {told_}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoticeError(f"it cannot be reached: {getattr(error, 'strerror', None) or type(error).__name__}") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirection is no acknowledgement: the receiver's address is what the bundle says."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing."""
        return


_OPENER = urllib.request.build_opener(_NoRedirect)
