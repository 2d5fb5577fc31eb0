from monitor.cli.output import Exit


def test_receivers_test_says_which_took_the_message(run, api, configured):
    _, url = api
    more = (
        "receivers:\n"
        "  - {name: good, type: log}\n"
        f"  - {{name: bad, type: slack, url: '{url}/no-such-hook'}}"
    )

    ran = run("receivers", "test", "-c", configured(url, more))

    assert ran.code == 1
    assert {row["receiver"]: row["accepted"] for row in ran.data} == {"good": True, "bad": False}
    assert "no-such-hook" not in ran.out


def test_receivers_test_takes_names_and_refuses_strange_ones(run, configured):
    file = configured(more="receivers: [{name: good, type: log}]")

    assert run("receivers", "test", "-c", file, "good").code == 0
    assert run("receivers", "test", "-c", file, "goood").code == Exit.VALIDATION
