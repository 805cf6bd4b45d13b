"""What an ExternalName leads to, as far as its name tells. Pure."""

from __future__ import annotations

from ipaddress import ip_address


def is_address(name: str) -> bool:
    """Whether a name is an IP address; to DNS it is none, but a name made of digits."""
    try:
        ip_address(name.rstrip("."))
    except ValueError:
        return False
    return True


def service_meant(name: str) -> tuple[str, str] | None:
    """Namespace and name of the Service of this cluster that a name like `db.shop.svc.cluster.local` is of."""
    words = name.rstrip(".").lower().split(".")
    if len(words) < 3 or words[2] != "svc" or not all(words):
        return None
    return words[1], words[0]
