import json

from monitor.config import schema


def receiver(word):
    whole = schema()
    for one in whole["properties"]["receivers"]["items"]["anyOf"]:
        if one["properties"]["type"] == {"const": word}:
            return whole["$defs"][one["$ref"].rpartition("/")[2]]
    raise AssertionError(word)


def test_the_schema_is_plain_json():
    assert json.loads(json.dumps(schema()))["title"] == "linkedapi-monitor"


def test_the_schema_knows_the_keys_of_every_type_of_receiver():
    assert {"name", "url", "url_file", "link"} <= receiver("slack")["properties"].keys()
    assert {"host", "port", "from", "to", "password_file"} <= receiver("email")["properties"].keys()


def test_unknown_keys_are_wrong_in_the_schema_too():
    assert schema()["additionalProperties"] is False
    assert receiver("slack")["additionalProperties"] is False


def test_a_secret_in_a_file_satisfies_the_schema():
    assert "url" not in receiver("slack").get("required", ())


def test_a_file_of_defaults_satisfies_the_schema():
    assert schema()["required"] == []
