from monitor import __version__


def test_the_version_is_printed_plain_or_as_json(run):
    assert run("version").out.strip() == __version__
    assert run("version", "--json").data == __version__


def test_nothing_configured_says_what_to_do(run):
    ran = run("accounts")

    assert ran.code == 2
    assert "LINKED_API_TOKEN" in ran.err
