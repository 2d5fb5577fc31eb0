"""The command `linkedapi-monitor`, also as `python -m monitor`."""

import sys

from monitor.cli import startup


def main() -> None:
    """Run one command."""
    startup.prepare()
    startup.guard(_run)


def _run() -> None:
    if sys.argv[1:2] == ["healthcheck"]:
        import typer  # noqa: PLC0415 - as below

        from monitor.cli.health import healthcheck  # noqa: PLC0415 - without all the others

        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command()(healthcheck)
        app(sys.argv[2:], prog_name="linkedapi-monitor healthcheck")
    from monitor.cli import commands  # noqa: PLC0415 - as above

    commands.main()


if __name__ == "__main__":
    main()
