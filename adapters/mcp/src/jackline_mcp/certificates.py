"""Client certificates: what they say of their holder, and the TLS that asks for them."""

from __future__ import annotations

import hashlib
import ssl
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from jackline.errors import JacklineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jackline_mcp.identity_config import TlsEntry

_NO_CERTIFICATE = "PEER_DID_NOT_RETURN_A_CERTIFICATE"


class Certificate(NamedTuple):
    """A certificate that TLS has verified, as `callers:` may name it. Times are Unix seconds."""

    fingerprint: str
    """SHA-256 of its DER, 64 hex digits."""
    subject: str
    """As RFC 4514 writes it, the most specific part first."""
    issuer: str
    names: tuple[str, ...]
    """The alternative names: `DNS:...`, `URI:...`, `email:...`, `IP:...`."""
    begins: float
    ends: float

    @property
    def marks(self) -> tuple[str, ...]:
        """All by which a caller can be named, the fingerprint first."""
        subject = (f"subject:{self.subject}",) if self.subject else ()
        return (f"sha256:{self.fingerprint}", *self.names, *subject)

    @property
    def identity(self) -> str:
        """The same for the next certificate of the same holder: 32 hex digits."""
        told = "\n".join((self.issuer, self.subject, *sorted(self.names)))
        return hashlib.sha256(told.encode()).hexdigest()[:32]


@lru_cache(maxsize=1000)
def certificate_of(der: bytes) -> Certificate:
    """Read a certificate; raises ValueError for what is none, or says too little."""
    found = x509.load_der_x509_certificate(der)
    subject = found.subject.rfc4514_string()
    try:
        names = tuple(_names(found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value))
    except x509.ExtensionNotFound:
        names = ()
    return Certificate(
        hashlib.sha256(der).hexdigest(),
        subject,
        found.issuer.rfc4514_string(),
        names,
        found.not_valid_before_utc.timestamp(),
        found.not_valid_after_utc.timestamp(),
    )


def certificate_in(path: Path) -> Certificate:
    """The first certificate of a PEM or DER file; raises JacklineError."""
    try:
        data = path.read_bytes()
        if b"-----BEGIN" in data:
            data = x509.load_pem_x509_certificate(data).public_bytes(Encoding.DER)
        return certificate_of(data)
    except OSError as error:
        raise JacklineError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise JacklineError(f"{path} holds no certificate: {error}") from error


def _names(alternative: x509.SubjectAlternativeName) -> list[str]:
    found: list[str] = []
    for name in alternative:
        if isinstance(name, x509.DNSName):
            found.append(f"DNS:{name.value.lower()}")
        elif isinstance(name, x509.UniformResourceIdentifier):
            found.append(f"URI:{name.value}")
        elif isinstance(name, x509.RFC822Name):
            found.append(f"email:{name.value}")
        elif isinstance(name, x509.IPAddress):
            found.append(f"IP:{name.value}")
    return found


def tls_context(tls: TlsEntry, folder: Path, refused: Callable[[str, str], object]) -> ssl.SSLContext:
    """The TLS of a gateway. `refused` is told kind and reason of each handshake that fails. Raises JacklineError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0  # each connection is looked at anew: no certificate outlives its CA by a resumption
    context.options |= ssl.OP_NO_TICKET
    key = folder / tls.key if tls.key else None
    try:
        context.load_cert_chain(folder / tls.certificate, key, password=_no_password)
        if tls.client_ca:
            context.load_verify_locations(folder / tls.client_ca)
            required = tls.client_certificate == "required"
            context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(str(folder / name) for name in (tls.certificate, tls.key, tls.client_ca) if name)
        raise JacklineError(f"TLS cannot be had from {files}: {error.strerror or error}") from error
    context.sslobject_class = _telling(refused)
    return context


def _no_password() -> str:
    raise JacklineError("the key of `tls:` is encrypted; give one that is not, in a file that only the gateway reads")


def _telling(refused: Callable[[str, str], object]) -> type[ssl.SSLObject]:
    """A failed handshake is kept to itself by asyncio, and no protocol is ever made for it: so the TLS object tells."""

    class Telling(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                refused(*_why(error))
                raise

    return Telling


def _why(error: Any) -> tuple[str, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate", f"the client's certificate was not accepted: {error.verify_message}"
    if error.reason == _NO_CERTIFICATE:
        return "certificate", "the client has shown no certificate, and one is required"
    return "tls", f"TLS could not be agreed on: {error.reason or type(error).__name__}"
