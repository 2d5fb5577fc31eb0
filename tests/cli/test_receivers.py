from harness.receivers import MailServer

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


def test_receivers_test_says_that_not_all_of_a_mails_recipients_took_it(run, configured):
    with MailServer() as server:
        server.inbox.replies["gone@example.com"] = "550 5.1.1 gone@example.com is unknown"
        to = "[ops@example.com, gone@example.com]"
        more = (
            f"receivers: [{{name: mail, type: email, host: 127.0.0.1, port: {server.port},"
            f" tls: none, from: monitor@example.com, to: {to}}}]"
        )
        ran = run("receivers", "test", "-c", configured(more=more))

    assert ran.code == 1
    assert [row["error"] for row in ran.data] == ["recipients refused: 1 for good, of 2 (SMTP 550)"]
    assert server.inbox.recipients == [["ops@example.com"]]
