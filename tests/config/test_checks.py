import pytest

from .conftest import WORKSPACE


@pytest.mark.parametrize("url", ["http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:1"])
def test_this_very_host_may_be_spoken_to_in_clear(load_text, url):
    config = load_text(
        WORKSPACE + f'linked_api: {{base_url: "{url}"}}\nreconnection: {{link_origins: ["{url}"]}}'
    )

    assert config.linked_api.base_url == url


@pytest.mark.odd_input("token used twice")
def test_a_token_used_twice_is_worth_a_warning(warnings_of, tmp_path):
    (tmp_path / "token").write_text("abc\n")

    assert warnings_of(
        "workspaces:\n  - {name: a, token: abc}\n  - name: b\n    token_file: token\n"
    ) == ["4: workspaces[1].token_file: is the token of workspaces[0] as well"]
