"""The lab's certificate authority, its certificates and the kubeconfigs that use them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .families import IPV4, IPV6
from .layout import API_ADDRESS, LabError, Layout, minimal_environment

CONFIGURATION = """[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign, digitalSignature
subjectKeyIdentifier = hash
"""
EC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(directory: Path, *arguments: str) -> None:
    result = subprocess.run(
        ["openssl", *arguments], cwd=directory, env=minimal_environment(), capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise LabError(f"openssl {arguments[0]} failed: {result.stderr.strip()}")


def make_authority(pki: Path, name: str = "lab-ca") -> None:
    """ca.crt and ca.key."""
    pki.mkdir(mode=0o700, parents=True, exist_ok=True)
    (pki / "openssl.cnf").write_text(CONFIGURATION)
    openssl(
        pki, "req", "-x509", "-config", "openssl.cnf", "-extensions", "authority", *EC_KEY,
        "-keyout", "ca.key", "-out", "ca.crt", "-subj", f"/CN={name}", "-days", "3650",
    )  # fmt: skip


def escape(part: str) -> str:
    return "".join("\\" + character if character in "\\/+" else character for character in part)


def make_certificate(pki: Path, name: str, user: str, groups: Sequence[str] = (), alternatives: str = "") -> None:
    """Write NAME.crt and NAME.key: the user and the groups are what the API server reads out of the subject."""
    subject = "".join(f"/O={escape(group)}" for group in groups) + f"/CN={escape(user)}"
    extensions = ["-addext", "basicConstraints=CA:FALSE", "-addext", "extendedKeyUsage=serverAuth,clientAuth"]
    if alternatives:
        extensions += ["-addext", f"subjectAltName={alternatives}"]
    openssl(
        pki, "req", "-x509", "-config", "openssl.cnf", *EC_KEY, "-keyout", f"{name}.key", "-out", f"{name}.crt",
        "-subj", subject, "-days", "3650", "-CA", "ca.crt", "-CAkey", "ca.key", *extensions,
    )  # fmt: skip


def write_kubeconfig(target: Path, pki: Path, certificate: str, namespace: str = "default") -> Path:
    """By file name: whoever reads it sees the same files, in every namespace of the lab."""
    target.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "lab",
                "clusters": [
                    {
                        "name": "lab",
                        "cluster": {
                            "server": f"https://{API_ADDRESS}:6443",
                            "certificate-authority": str(pki / "ca.crt"),
                        },
                    }
                ],
                "users": [
                    {
                        "name": certificate,
                        "user": {
                            "client-certificate": str(pki / f"{certificate}.crt"),
                            "client-key": str(pki / f"{certificate}.key"),
                        },
                    }
                ],
                "contexts": [
                    {"name": "lab", "context": {"cluster": "lab", "user": certificate, "namespace": namespace}}
                ],
            },
            indent=1,
        )
        + "\n"
    )
    target.chmod(0o600)
    return target


def make_user(layout: Layout, name: str, groups: Sequence[str], namespace: str = "default") -> Path:
    """A kubeconfig for a user that RBAC knows by this name and these groups."""
    plain = "".join(character if character.isalnum() or character in "-." else "_" for character in name)
    stem = f"user-{plain}-{hashlib.sha256(repr((name, [*groups], namespace)).encode()).hexdigest()[:8]}"
    make_certificate(layout.pki, stem, name, groups)
    return write_kubeconfig(layout.kubeconfig(stem), layout.pki, stem, namespace)


def make_control_plane_certificates(layout: Layout) -> None:
    pki = layout.pki
    make_authority(pki)
    openssl(pki, "genrsa", "-out", "service-accounts.key", "2048")
    make_certificate(
        pki, "apiserver", "kube-apiserver", (),
        ",".join([
            "IP:127.0.0.1", *(f"IP:{own}" for family in (IPV4, IPV6) for own in (family.api, family.first_service)),
            "DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc",
        ]),
    )  # fmt: skip
    make_certificate(pki, "admin", "admin", ("system:masters",))
    for name in ("admin", "kube-controller-manager", "kube-scheduler", "kube-proxy"):
        if name != "admin":
            make_certificate(pki, name, f"system:{name}")
        write_kubeconfig(layout.kubeconfig(name), pki, name)
