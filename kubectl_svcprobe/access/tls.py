"""How the API server is recognised, and which certificate is shown to it: an SSL context from an `Access`."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator

from kubectl_svcprobe.access.kubeconfig import Access, Pem
from kubectl_svcprobe.errors import AccessError


def make_context(access: Access) -> ssl.SSLContext:
    """As strict as Go's TLS, and no stricter: AccessError if a certificate or key cannot be used.

    A bare `SSLContext` leaves `VERIFY_X509_STRICT` off. `ssl.create_default_context` sets it from Python 3.13 on and
    then rejects certificate authorities without a key identifier, which many clusters have and kubectl accepts.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Go takes every certificate it is given as an anchor, also an intermediate or the server's own
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        _load_authorities(context, access.ca)
    if access.client_certificate and access.client_key:
        _load_client_certificate(context, access.client_certificate, access.client_key)
    return context


def _load_authorities(context: ssl.SSLContext, ca: Pem | None) -> None:
    if ca is None:
        context.load_default_certs()
        return
    try:
        if ca.file:
            context.load_verify_locations(cafile=ca.file)
        else:
            context.load_verify_locations(cadata=ca.data.decode("ascii", "replace"))
    except (ssl.SSLError, OSError):
        raise AccessError("error: unable to load root certificates: unable to parse bytes as PEM block") from None


def _load_client_certificate(context: ssl.SSLContext, certificate: Pem, key: Pem) -> None:
    try:
        with _as_file(certificate) as certificate_file, _as_file(key) as key_file:
            # the empty password keeps OpenSSL from asking for one on the terminal
            context.load_cert_chain(certificate_file, key_file, password=lambda: "")
    except ssl.SSLError as error:
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        why = "private key does not match public key" if mismatch else "no usable certificate and key in PEM form"
        raise AccessError(f"error: tls: the client certificate cannot be used: {why}") from None
    except OSError as error:
        raise AccessError(f"error: tls: the client certificate cannot be read: {error.strerror}") from None


@contextlib.contextmanager
def _as_file(pem: Pem) -> Iterator[str]:
    """A file for `ssl`, which loads client certificates from nowhere else; content is on disk while it loads."""
    if pem.file:
        yield pem.file
        return
    handle, name = tempfile.mkstemp(prefix="svcprobe-")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem.data)
        yield name
    finally:
        os.unlink(name)  # noqa: PTH108
