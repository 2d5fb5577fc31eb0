"""The folder is the registry, and entry points add to it."""

from pathlib import Path

import pytest
from harness.packages import installed
from pydantic import ValidationError

from monitor import notifiers
from monitor.core.errors import MonitorError
from monitor.core.render import Style
from monitor.net.proxy import Proxies


def test_every_file_of_the_folder_is_a_type():
    files = Path(notifiers.__file__).parent.glob("[a-z]*.py")

    assert set(notifiers.notifier_types()) == {file.stem for file in files}


def test_who_is_told_in_groups():
    log = notifiers.settings_type("log")(name="log", type="log")

    assert notifiers.groups(log) is False


def test_a_package_adds_a_type(tmp_path):
    module = """
from monitor.notifiers import ReceiverSettings
class Settings(ReceiverSettings):
    shout: bool = True
class Notifier:
    groups = True
    def __init__(self, settings, *, http, style):
        self.style = style
"""
    with installed(tmp_path, name="pager", target="pager_one", module=module):
        settings = notifiers.settings_type("pager")(name="p", type="pager", timezone="Asia/Tokyo")
        built = notifiers.build(settings, http=None, proxies=Proxies({}), style=Style())

        assert "pager" in notifiers.notifier_types()
        assert built.style.timezone == "Asia/Tokyo"
        assert notifiers.groups(settings) is True


@pytest.mark.parametrize(
    ("name", "target", "module", "problem"),
    [
        ("slack", "pager_two", "", "takes a name that is in use"),
        ("pager", "pager_three", None, "'pager' .pager_three. cannot be imported"),
        ("pager", "pager_four", "1 / 0", "cannot be imported: ZeroDivisionError"),
        ("pager", "pager_five", "", "has no class Settings"),
        ("pager", "pager_six", "class Settings: ...\nclass Notifier: ...", "no ReceiverSettings"),
    ],
)
def test_a_broken_package_is_named(tmp_path, name, target, module, problem):
    with (
        installed(tmp_path, name=name, target=target, module=module),
        pytest.raises(MonitorError, match=problem),
    ):
        notifiers.settings_type(name)


def test_an_unknown_type_is_told_what_there_is():
    with pytest.raises(MonitorError, match="no notifier 'pigeon'; there are email, log"):
        notifiers.settings_type("pigeon")


@pytest.mark.parametrize("values", [{"link": "sometimes"}, {"chanel": "#ops"}, {"type": "log"}])
def test_settings_that_no_receiver_has_are_refused_without_showing_others(values):
    url = "https://hooks.example.com/s3cr3t"
    with pytest.raises(ValidationError) as caught:
        notifiers.settings_type("slack")(**{"name": "ops", "type": "slack", "url": url, **values})

    assert "s3cr3t" not in str(caught.value)
