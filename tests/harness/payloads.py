"""Responses of `accounts.getAll`, invented, and how they are read."""

import json
import uuid

from monitor.source.decode import Decoder

LINK = "https://app.linkedapi.io/connection/"
ORIGINS = ("https://app.linkedapi.io",)
ABSENT = object()


def account(number=0, **changes):
    """Invent an account of the usual size; a change to ABSENT removes the field."""
    fields = {
        "id": str(uuid.UUID(int=number + 1)),
        "name": f"Person Number {number}",
        "url": f"https://www.linkedin.com/in/person-number-{number}/",
        "avatarUrl": f"https://media.licdn.com/dms/image/v2/{number:060d}/profile?e=1&v=beta&t=x",
        "headline": "Helps teams to sell more of what they make, everywhere and all the time",
        "countryCode": "DE",
        "identificationToken": f"id_{number:032d}",
        "status": "active",
        "connectedAt": "2026-05-04T10:11:12.345Z",
    } | changes
    return {key: value for key, value in fields.items() if value is not ABSENT}


def signed_out(number=0, **changes):
    """Invent an account that needs a login."""
    fields = {
        "status": "reconnection_required",
        "reconnectionSessionId": f"session-{number}",
        "reconnectionLink": f"{LINK}session-{number}",
    }
    return account(number, **(fields | changes))


def body(*accounts, **changes):
    """Write the response that lists *accounts*."""
    result = {"accounts": list(accounts), "pendingConnectionSessions": []}
    fields = {"success": True, "result": result} | changes
    return json.dumps({key: value for key, value in fields.items() if value is not ABSENT}).encode()


def read(*accounts, origins=ORIGINS):
    """Read the response that lists *accounts*."""
    return Decoder(origins).decode(body(*accounts))
