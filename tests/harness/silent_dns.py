"""A network of its own, of loopback alone, in which the name server never answers a question.

`python -m harness.silent_dns FOLDER`, through `unshare`, starts the program in it with many
receivers, and writes how long a mail (to a server that is given by address), its endpoint and its
end took, in seconds; and how a test ended of a mail server of two addresses, the first one dead.
"""

import asyncio
import fcntl
import json
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import httpx

from harness.program import WEBHOOK_SECRET, answers, configure, program, until
from harness.receivers import MailServer, dead_address
from harness.running_monitor import simulated
from monitor.simulator import serve

UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--mount", "--uts")
RECEIVERS = 30
SERVER = ("127.0.0.9", 53)
HOSTS = """
::1 mail.example.test
127.0.0.1 mail.example.test
"""


def is_allowed():
    """Tell whether this system lets us make networks."""
    return (
        shutil.which("unshare") and not subprocess.run([*UNSHARE, "true"], check=False).returncode
    )


def enter(folder):
    """Set the network up; return the socket of the name server."""
    with socket.socket() as any_socket:
        up = struct.pack("16sh", b"lo", 0x41)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(any_socket, 0x8914, up)  # SIOCSIFFLAGS
    socket.sethostname("box")  # no file knows it
    config = folder / "resolv.conf"
    config.write_text(f"nameserver {SERVER[0]}\noptions timeout:30 attempts:3\n")
    hosts = folder / "hosts"
    hosts.write_text(HOSTS)
    subprocess.run(["mount", "--bind", config, "/etc/resolv.conf"], check=True)
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(SERVER)
    server.settimeout(0)
    return server


async def measure(folder):
    """Run the program until it waits for many names; return how long the rest takes."""
    server = enter(folder)
    receivers = "\n".join(
        f"  - {{name: hook-{n}, type: webhook, url: 'https://{n}.example.test/',"
        f" secret: {WEBHOOK_SECRET}}}"
        for n in range(RECEIVERS)
    )
    simulator = simulated()
    asked = set()

    def has_asked():
        try:
            while True:
                asked.add(server.recv(512)[12:30])  # the question's name
        except BlockingIOError:
            return len(asked) >= 6

    mail = MailServer()
    for name, host in (("by-address", "127.0.0.1"), ("by-name", "mail.example.test")):
        receivers += (
            f"\n  - {{name: {name}, type: email, host: {host}, port: {mail.port}, tls: none,"
            f" from: monitor@example.com, to: [{name}@example.com]}}"
        )
    with mail, dead_address("::1", mail.port):
        async with serve(simulator) as api:
            file, endpoint = configure(folder, api=api, hooks="http://127.0.0.1:9")
            text = file.read_text()
            file.write_text(text.replace("receivers:\n", f"receivers:\n{receivers}\n"))
            tried = ("receivers", "test", "by-name", "-c", str(file))
            async with program(*tried, log=folder / "test.log") as trial:
                by_name = await trial.ended()
            simulator.sign_out("acme", "*")
            async with program("run", "-c", str(file), log=folder / "run.log") as monitor:
                await answers(f"{endpoint}/healthz")
                await until(has_asked)
                asked_at = time.monotonic()
                await until(lambda: ["by-address@example.com"] in mail.inbox.recipients)
                began = time.monotonic()
                async with httpx.AsyncClient(verify=False, timeout=60) as client:
                    (await client.get(f"{endpoint}/metrics")).raise_for_status()
                scraped = time.monotonic()
                code = await monitor.stop()
                return {
                    "by name": by_name,
                    "mail": began - asked_at,
                    "metrics": scraped - began,
                    "stop": time.monotonic() - scraped,
                    "code": code,
                }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(measure(Path(sys.argv[1])))))
