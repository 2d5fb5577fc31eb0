"""What a file must still have at a reload: what is missing was cut off more often than meant.

A full disk, a copy that was interrupted, or an editor between truncating and writing leaves a file
empty, or without its end. To go by it would forget the receivers and cancel what they are owed.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from monitor.core.secret import Secret
from monitor.files import FileContents
from monitor.notifiers import ReceiverSettings

from .document import ConfigError, Problem
from .environment import read_secret
from .settings import Config


def check_successor(before: Config, after: Config) -> None:
    """Raise ConfigError if *after* looks like a part of the file that *before* was loaded from."""
    source = str(after.path) if after.path else None
    table = _cut_off_table(before, after)
    was, now = before.findings, after.findings
    if was.sections and not now.sections:
        problems = [
            Problem(None, "", "is empty now; a restart takes that for what is meant", source)
        ]
    elif was.is_whole and not now.is_whole and now.size < was.size:
        message = "is shorter than it was, and ends within a line: was it written to its end?"
        problems = [Problem(None, "", message, source)]
    else:
        problems = [
            Problem(None, section, message, source)
            for section, message in (
                ("workspaces", "are gone; a restart takes that for what is meant"),
                ("receivers", "are gone; write `receivers: []` if that is meant"),
            )
            if section in was.sections and section not in now.sections
        ]
    if table is not None:
        problems.append(table)
    if problems:
        raise ConfigError(problems)


def _cut_off_table(before: Config, after: Config) -> Problem | None:
    """Return why `accounts_file` looks like a part of what it was."""
    was, now = before.findings.accounts_file, after.findings.accounts_file
    if was is None or now is None or was.path != now.path:
        return None
    if was.rows and not now.rows:
        return now.problem(None, "has no rows any more; a restart takes that for what is meant")
    if was.is_whole and not now.is_whole and now.size < was.size:
        return now.problem(None, "is shorter than it was, and ends within a line: was it cut off?")
    return None


def with_secrets_read_again(config: Config, name: str) -> Config:
    """Return *config* with the secrets of the receiver *name* as their files hold them now.

    Others that share these files get them, too. It is *config* itself if they hold the same, or
    what can't be used.
    """
    findings = config.findings
    contents = FileContents(findings.contents)
    files = findings.secret_files
    try:
        secrets = {
            path: Secret(read_secret(path, contents)) for path in files.get(name, {}).values()
        }
        if contents == findings.contents:
            return config
        receivers = [
            _with_secrets(settings, files.get(settings.name, {}), secrets)
            for settings in config.receivers
        ]
    except ValueError:
        return config
    changed = config.model_copy(update={"receivers": tuple(receivers)})
    return changed.with_findings(replace(findings, contents=contents))


def _with_secrets(
    settings: ReceiverSettings, files: Mapping[str, Path], secrets: Mapping[Path, Secret]
) -> ReceiverSettings:
    """Return *settings*, whose keys are read from *files*, with those of the *secrets*."""
    read = {key: secrets[path] for key, path in files.items() if path in secrets}
    if not read:
        return settings
    return type(settings).model_validate(
        {**settings.model_dump(by_alias=True, exclude_unset=True), **read}
    )
