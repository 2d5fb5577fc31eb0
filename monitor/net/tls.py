"""Whom we trust: what `SSL_CERT_FILE` and `SSL_CERT_DIR` name, else the system's authorities.

The same on all versions of Python: later ones refuse certificates that curl and browsers accept.
"""

import os
import ssl
from collections.abc import Mapping, Sequence
from functools import lru_cache
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
    there is something that can't be read. Who trusts the same files shares one: it takes 50 ms to
    make, and hundreds of receivers are made anew at once.
    """
    file, folders = environ.get(CERT_FILE), environ.get(CERT_DIR)
    named = [Path(name) for name in (file, *(folders or "").split(os.pathsep)) if name]
    try:
        return _shared(file, folders, ca_file, _versions(named, ca_file))
    except _CaFileError as error:
        raise SetupError(f"{where}: {error}" if where else str(error)) from None


class _CaFileError(SetupError):
    """The file that a setting names can't be used."""


@lru_cache(maxsize=64)
def _shared(
    file: str | None,
    folders: str | None,
    ca_file: Path | None,
    versions: Sequence[object],  # noqa: ARG001 - other ones want another context
) -> ssl.SSLContext:
    context = _context(file, folders)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # what is named is trusted as it is
    if ca_file is not None:
        try:
            _load_file(context, ca_file, "ca_file")
        except SetupError as error:
            raise _CaFileError(str(error)) from None
    return context


def _versions(named: Sequence[Path], ca_file: Path | None) -> Sequence[object]:
    """Return what tells the files that are trusted from what they were before."""
    system = ssl.get_default_verify_paths()
    paths = named or [Path(system.openssl_cafile), Path(system.openssl_capath)]
    return tuple(_version(path) for path in (*paths, *filter(None, (ca_file,))))


def _version(path: Path) -> object:
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    return state.st_ino, state.st_mtime_ns, state.st_size


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
