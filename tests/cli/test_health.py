def test_a_health_check_without_a_monitor_is_unhealthy(run, configured):
    file = configured(more="web: {listen: '127.0.0.1:9'}")

    ran = run("healthcheck", "-c", file)

    assert ran.code == 1
    assert "no answer" in ran.err


def test_a_health_check_goes_by_the_answer(run, api):
    listen = api.removeprefix("http://")

    assert run("healthcheck", "--listen", listen).code == 1  # the simulated API has no /healthz


def test_the_health_check_of_a_wrong_configuration_is_an_error_and_exit_2(
    on_a_terminal, configured
):
    code, shown = on_a_terminal("healthcheck", "-c", configured(more="pol: {}"))

    assert code == 2
    assert "did you mean poll?" in shown
    assert "Traceback" not in shown
