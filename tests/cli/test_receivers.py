from monitor.cli.output import Exit


def test_receivers_test_says_which_took_the_message(run, api, configured):
    more = (
        "receivers:\n"
        "  - {name: good, type: log}\n"
        f"  - {{name: bad, type: slack, url: '{api}/no-such-hook'}}"
    )

    ran = run("receivers", "test", "-c", configured(api, more))

    assert ran.code == 1
    assert {row["receiver"]: row["accepted"] for row in ran.data} == {"good": True, "bad": False}
    assert "no-such-hook" not in ran.out


def test_receivers_test_takes_names_and_refuses_unknown_ones(run, configured):
    file = configured(more="receivers: [{name: good, type: log}]")

    assert run("receivers", "test", "-c", file, "good").code == 0
    assert run("receivers", "test", "-c", file, "goood").code == Exit.VALIDATION
