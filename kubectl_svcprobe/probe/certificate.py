"""What a server's certificate says: the few fields that are told, read from its DER (RFC 5280). Pure.

Neither curl's own text (each TLS library has another) nor Python's `ssl`, which reads no certificate that it has not
verified, serves both vantages alike. Nothing is verified here, and what cannot be read is no certificate.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

#: Bounds for what a hostile server may have told: longer or more is cut.
LONGEST_NAME, MOST_NAMES, MOST_CERTIFICATES = 253, 100, 10

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]{1,100000})-----END CERTIFICATE-----")

SEQUENCE, SET, OID, OCTETS, BOOLEAN = 0x30, 0x31, 0x06, 0x04, 0x01
VERSION, EXTENSIONS, DNS_NAME, IP_ADDRESS = 0xA0, 0xA3, 0x82, 0x87
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18

#: id-at-commonName, id-at-organizationName, id-ce-subjectAltName.
COMMON_NAME, ORGANIZATION, ALTERNATIVE_NAMES = b"\x55\x04\x03", b"\x55\x04\x0a", b"\x55\x1d\x11"

#: UTF8String, PrintableString, T61String, IA5String, BMPString.
ENCODINGS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}


@dataclass(frozen=True)
class Certificate:
    """Times are RFC 3339 in UTC; `names` are its DNS names and IP addresses."""

    subject: str
    issuer: str
    not_before: str
    not_after: str
    names: tuple[str, ...] = ()
    is_self_issued: bool = False

    def covers(self, name: str) -> bool:
        """Whether a client that connects to this name or address accepts it (RFC 6125: `*` is one whole first label)."""
        name = name.lower()
        first, _, rest = name.partition(".")
        wild = f"*.{rest}" if first and rest and not re.fullmatch(r"[\d.]+|.*:.*", name) else name
        return any(mine in (name, wild) for mine in map(str.lower, self.names))


def chain_of(pem: str) -> tuple[bytes, ...]:
    """The DER of all certificates in a text, in their order."""
    found = [_decoded(match.group(1)) for match in _PEM.finditer(pem)][:MOST_CERTIFICATES]
    return tuple(der for der in found if der)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError:
        return b""


def read(der: bytes) -> Certificate | None:
    """None for what is no certificate."""
    try:
        return _read(der)
    except (ValueError, IndexError, StopIteration, RuntimeError):
        return None


def _read(der: bytes) -> Certificate:
    body = _values(_one(der, SEQUENCE))
    fields = _values(_expect(next(body), SEQUENCE))
    first = next(fields)
    # The serial number, which versions before 3 begin with.
    if first[0] == VERSION:
        next(fields)
    next(fields)
    issuer = _expect(next(fields), SEQUENCE)
    start, end = (_time(tag, content) for tag, content in _values(_expect(next(fields), SEQUENCE)))
    subject = _expect(next(fields), SEQUENCE)
    return Certificate(
        subject=_name(subject),
        issuer=_name(issuer),
        not_before=start,
        not_after=end,
        names=tuple(_alternative_names(content for tag, content in fields if tag == EXTENSIONS))[:MOST_NAMES],
        is_self_issued=issuer == subject,
    )


def _values(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each value in a row. Raises ValueError where it is no DER."""
    at = 0
    while at < len(content):
        tag, length = content[at], content[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            if not 0 < size <= 4:
                raise ValueError("a length beyond reason")
            length = int.from_bytes(content[at : at + size], "big")
            at += size
        if at + length > len(content):
            raise ValueError("cut off")
        yield tag, content[at : at + length]
        at += length


def _one(content: bytes, tag: int) -> bytes:
    return _expect(next(_values(content)), tag)


def _expect(value: tuple[int, bytes], tag: int) -> bytes:
    if value[0] != tag:
        raise ValueError(f"tag {value[0]:#x} where {tag:#x} belongs")
    return value[1]


def _name(content: bytes) -> str:
    """The common name, or else the organization, of a distinguished name."""
    found: dict[bytes, str] = {}
    for _, attributes in _values(content):
        for _, attribute in _values(attributes):
            key, value = _values(attribute)
            found.setdefault(_expect(key, OID), _text(*value))
    return found.get(COMMON_NAME) or found.get(ORGANIZATION) or ""


def _text(tag: int, content: bytes) -> str:
    """A string as it may be shown: printable, of bounded length."""
    text = content.decode(ENCODINGS.get(tag, "latin-1"), "replace")
    return re.sub(r"[^ -~]+", "?", text)[:LONGEST_NAME].strip()


def _time(tag: int, content: bytes) -> str:
    """UTCTime or GeneralizedTime as RFC 3339; of two digits of a year, 50 and more are of the last century."""
    digits = content.decode("ascii")
    if tag == UTC_TIME:
        digits = ("19" if digits[:2] >= "50" else "20") + digits
    elif tag != GENERALIZED_TIME:
        raise ValueError("no time")
    if not re.fullmatch(r"\d{14}Z", digits):
        raise ValueError("no time in UTC")
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{digits[8:10]}:{digits[10:12]}:{digits[12:14]}Z"


def _alternative_names(extensions: Iterator[bytes]) -> Iterator[str]:
    for wrapped in extensions:
        for _, extension in _values(_one(wrapped, SEQUENCE)):
            values = [value for value in _values(extension) if value[0] != BOOLEAN]
            if values[0] == (OID, ALTERNATIVE_NAMES):
                yield from _general_names(_one(_expect(values[1], OCTETS), SEQUENCE))


def _general_names(content: bytes) -> Iterator[str]:
    for tag, value in _values(content):
        if tag == DNS_NAME:
            yield _text(0x16, value)
        elif tag == IP_ADDRESS and len(value) in (4, 16):
            yield str(ipaddress.ip_address(value))
