"""What a simulated Linked API answers instead of the truth: faults for `simulator.faults.add`."""

import json

from monitor.simulator import Fault

MAINTENANCE = (
    b"<!doctype html><html><head><title>Maintenance</title></head>"
    b"<body><h1>We will be back soon</h1></body></html>"
)


def html_page(*, status=200, **where):
    """Answer a page for people, as captive portals and content networks do."""
    headers = {"content-type": "text/html; charset=utf-8"}
    return Fault(status=status, body=MAINTENANCE, headers=headers, **where)


def redirect(to, *, status=302, **where):
    """Send the caller elsewhere."""
    return Fault(status=status, body=b"", headers={"location": to}, **where)


def api_error(error_type, *, status, **where):
    """Answer an error in the API's own envelope."""
    error = {"type": error_type, "message": "Simulated"}
    body = json.dumps({"success": False, "error": error}).encode()
    return Fault(status=status, body=body, **where)
