"""Certificates for local TLS servers, made once per process with the openssl program."""

from __future__ import annotations

import atexit
import functools
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_LOCAL = "subjectAltName=DNS:localhost,IP:127.0.0.1"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files in PEM form."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Certificates:
    """An authority, and what it has signed; `stranger` is signed by nobody but itself."""

    authority: Pair
    server: Pair
    other_name: Pair  #: for api.example only
    expired: Pair
    stranger: Pair
    client: Pair  #: of the user "jane"
    plain_authority: Pair  #: without any key identifier, as older cluster installers made them
    plain_server: Pair  #: signed by it


@functools.cache
def certificates() -> Certificates:
    directory = tempfile.TemporaryDirectory(prefix="svcprobe-tests-")
    atexit.register(directory.cleanup)
    make = _Maker(Path(directory.name))
    authority = make.authority("authority", "basicConstraints=critical,CA:TRUE")
    plain = make.authority(
        "plain-authority",
        "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none\nauthorityKeyIdentifier=none",
    )
    return Certificates(
        authority=authority,
        server=make.signed("server", authority, _LOCAL),
        other_name=make.signed("other-name", authority, "subjectAltName=DNS:api.example"),
        expired=make.signed("expired", authority, _LOCAL, days=-1),
        stranger=make.authority("stranger", _LOCAL),
        client=make.signed("jane", authority, "extendedKeyUsage=clientAuth"),
        plain_authority=plain,
        plain_server=make.signed("plain-server", plain, _LOCAL),
    )


@dataclass(frozen=True)
class _Maker:
    directory: Path

    def authority(self, name: str, extensions: str) -> Pair:
        pair, request = self._request(name)
        self._sign(request, pair, extensions, 30, "-signkey", pair.key)
        return pair

    def signed(self, name: str, authority: Pair, extensions: str, days: int = 30) -> Pair:
        pair, request = self._request(name)
        self._sign(request, pair, extensions, days, "-CA", authority.certificate, "-CAkey", authority.key)
        return pair

    def _request(self, name: str) -> tuple[Pair, Path]:
        pair = Pair(self.directory / f"{name}.crt", self.directory / f"{name}.key")
        request = self.directory / f"{name}.csr"
        curve = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
        _openssl("req", "-newkey", *curve, "-nodes", "-keyout", pair.key, "-out", request, "-subj", f"/CN={name}")
        return pair, request

    def _sign(self, request: Path, pair: Pair, extensions: str, days: int, *signer: str | Path) -> None:
        details = pair.certificate.with_suffix(".ext")
        details.write_text(extensions + "\n")
        serial = ("-set_serial", str(abs(hash(pair)) % 10**9))
        _openssl(
            "x509", "-req", "-in", request, "-out", pair.certificate, "-days", str(days), "-extfile", details,
            *serial, *signer,
        )  # fmt: skip


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
