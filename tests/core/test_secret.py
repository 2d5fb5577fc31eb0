"""A text that must not be seen."""

import pickle

import pytest
from pydantic import BaseModel, ValidationError

from monitor.core.secret import Secret


class Settings(BaseModel):
    token: Secret


def test_a_secret_shows_itself_nowhere():
    secret = Secret(" s3cret\n")

    assert secret.reveal() == "s3cret"
    for shown in (str(secret), repr(secret), f"{secret}", f"{secret:>20}", repr([secret])):
        assert "s3cret" not in shown
    settings = Settings(token="s3cret")
    assert "s3cret" not in repr(settings) + settings.model_dump_json()
    assert Settings.model_json_schema()["properties"]["token"]["format"] == "password"


def test_a_secret_cannot_be_pickled():
    with pytest.raises(TypeError):
        pickle.dumps(Secret("x"))


def test_secrets_compare_and_hash_by_their_text():
    assert Secret("a") == Secret("a ")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")


@pytest.mark.parametrize("value", ["", "  ", 5, None])
def test_what_is_no_text_is_no_secret(value):
    with pytest.raises(ValidationError):
        Settings(token=value)


def test_a_secret_may_be_given_as_one():
    assert Settings(token=Secret("a")).token == Secret("a")
