"""Whom we trust: what `SSL_CERT_FILE` and `SSL_CERT_DIR` name, else the system's authorities.

The same on all versions of Python: later ones refuse certificates that curl and browsers accept.
"""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx

from monitor import files
from monitor.core.errors import SetupError

CERT_FILE: Final = "SSL_CERT_FILE"
CERT_DIR: Final = "SSL_CERT_DIR"


def tls_context(
    ca_file: Path | None = None, *, where: str = "", environ: Mapping[str, str] = os.environ
) -> ssl.SSLContext:
    """Return what a client's connection is encrypted and its server is checked with.

    The authorities of *ca_file*, a setting of *where*, are trusted besides. Raise SetupError if
    there is something that can't be read.
    """
    context = _context(environ.get(CERT_FILE), environ.get(CERT_DIR))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # what is named is trusted as it is
    if ca_file is not None:
        _load_file(context, ca_file, f"{where}: ca_file" if where else "ca_file")
    return context


def _context(file: str | None, folders: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # some systems leave it to the server
    if file:
        _load_file(context, Path(file), CERT_FILE)
    if folders:
        _load_folders(context, folders)
    if file or folders:
        return context
    system = ssl.get_default_verify_paths()
    has_file = Path(system.openssl_cafile).is_file()
    has_folder = _has_entries(Path(system.openssl_capath))
    if not (has_file or has_folder):
        return httpx.create_ssl_context(trust_env=False)  # the authorities that come with it
    context.load_verify_locations(
        cafile=system.openssl_cafile if has_file else None,
        capath=system.openssl_capath if has_folder else None,
    )
    return context


def _load_file(context: ssl.SSLContext, file: Path, what: str) -> None:
    try:
        files.check(file)
        context.load_verify_locations(cafile=file)
    except OSError as error:  # ssl.SSLError is one, whose number is no errno
        is_ours = isinstance(error, ssl.SSLError)
        reason = "it holds no certificate" if is_ours else error.strerror
        raise SetupError(f"{what} {file} cannot be used: {reason}") from None


def _load_folders(context: ssl.SSLContext, folders: str) -> None:
    """Trust what is in *folders*, of which one at least must be there."""
    if not any(_has_entries(Path(folder)) for folder in folders.split(os.pathsep)):
        reason = "there is no folder with certificates"
        raise SetupError(f"{CERT_DIR} {folders} cannot be used: {reason}")
    context.load_verify_locations(capath=folders)


def _has_entries(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False
