"""Whom a client trusts, and what of that can't be read."""

import asyncio
import ssl

import pytest
from harness.raw_server import TLS, RawServer, http

from monitor.core.errors import SetupError
from monitor.net.tls import tls_context

OURS = TLS / "localhost.pem"


async def trusts_ours(context):
    """Tell whether *context* takes a certificate that the authority in OURS vouches for."""
    async with RawServer(http(200), certificate="localhost.pem") as server:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        except ssl.SSLCertVerificationError:
            return False
        writer.close()
        return True


async def test_what_the_variable_names_is_trusted_and_nothing_else():
    assert await trusts_ours(tls_context(environ={"SSL_CERT_FILE": str(OURS)}))
    assert len(tls_context(environ={"SSL_CERT_FILE": str(OURS)}).get_ca_certs()) == 1


async def test_a_file_of_a_setting_is_trusted_besides():
    environ = {"SSL_CERT_FILE": str(TLS / "expired.pem")}

    assert not await trusts_ours(tls_context(environ=environ))
    assert await trusts_ours(tls_context(OURS, environ=environ))
    assert await trusts_ours(tls_context(OURS, environ={}))


@pytest.mark.parametrize("environ", [{}, {"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""}])
def test_without_variables_the_system_says_who_is_trusted(environ):
    context = tls_context(environ=environ)

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), (b"", "no certificate"), (b"nonsense", "no certificate")],
)
@pytest.mark.parametrize("way", ["variable", "setting"])
def test_a_file_that_cannot_be_used_is_one_line_that_names_it(tmp_path, content, reason, way):
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_bytes(content)

    what, arguments = {
        "variable": ("SSL_CERT_FILE", {"environ": {"SSL_CERT_FILE": str(file)}}),
        "setting": ("linked_api: ca_file", {"ca_file": file, "where": "linked_api", "environ": {}}),
    }[way]

    with pytest.raises(SetupError) as caught:
        tls_context(**arguments)

    assert str(caught.value).startswith(f"{what} {file} cannot be used: ")
    assert reason in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SetupError, match=r"SSL_CERT_DIR .*/nothing.* cannot be used"):
        tls_context(environ={"SSL_CERT_DIR": f"{tmp_path}/nothing:{tmp_path}"})


async def test_a_folder_of_certificates_is_trusted(tmp_path):
    process = await asyncio.create_subprocess_exec(
        *("openssl", "x509", "-hash", "-noout", "-in", OURS), stdout=asyncio.subprocess.PIPE
    )
    name = (await process.communicate())[0].decode().strip()
    (tmp_path / f"{name}.0").write_bytes(OURS.read_bytes())

    assert await trusts_ours(tls_context(environ={"SSL_CERT_DIR": f"/nothing:{tmp_path}"}))


def test_who_trusts_the_same_shares_a_context_until_a_file_is_another_one(tmp_path):
    ca_file, system = tmp_path / "ours.pem", {"SSL_CERT_FILE": str(tmp_path / "system.pem")}
    for file in (ca_file, tmp_path / "system.pem"):
        file.write_bytes(OURS.read_bytes())
    context = tls_context(ca_file, where="a", environ=system)

    assert tls_context(ca_file, where="b", environ=system) is context
    assert tls_context(None, environ=system) is not context
    assert tls_context(ca_file, environ={}) is not context
    ca_file.write_bytes(OURS.read_bytes() + b"\n")
    renewed = tls_context(ca_file, environ=system)
    assert renewed is not context
    (tmp_path / "system.pem").write_bytes(b"\n" + OURS.read_bytes())
    assert tls_context(ca_file, environ=system) is not renewed
    ca_file.unlink()
    for where in ("receiver a", "receiver b"):
        with pytest.raises(SetupError, match=f"^{where}: ca_file .* cannot be used: No such file"):
            tls_context(ca_file, where=where, environ=system)
