"""The command `linkedapi-monitor`, also as `python -m monitor`."""

from monitor.cli import startup


def main() -> None:
    """Run one command."""
    startup.prepare()
    startup.guard(_run)


def _run() -> None:
    from monitor.cli import commands  # noqa: PLC0415 - not before all is prepared for it

    commands.main()


if __name__ == "__main__":
    main()
