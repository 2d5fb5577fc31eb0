"""Who hears of what, as a configuration says."""

from monitor import notifiers
from monitor.config import Config
from monitor.core.route import Receiver, Routing
from monitor.notifiers import ReceiverSettings


def receivers_of(config: Config) -> tuple[ReceiverSettings, ...]:
    """Return the receivers of *config*; without any our own log is one."""
    return config.receivers or (notifiers.settings_type("log")(name="log", type="log"),)


def make_routing(config: Config) -> Routing:
    """Return the receivers and the routes of *config*."""
    receivers = (
        Receiver(
            settings.name,
            groups=notifiers.groups(settings),
            is_machine=notifiers.is_machine(settings),
            is_log=settings.type == "log",
            may_have_link=settings.link != "none",
            address_label=settings.address_label,
        )
        for settings in receivers_of(config)
    )
    return Routing(
        receivers={receiver.name: receiver for receiver in receivers},
        routes=config.routes,
        fallback=config.fallback,
        inventory=config.inventory(),
        mutes=config.mutes,
        timezone=config.timezone,
    )
