"""The rows of `kubeconfig_cases` that are about one cluster and one user: servers, credentials, and what is refused."""

from __future__ import annotations

import base64

PEM = base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode()
