"""`make bench`, from a post to its mail: 1,000 accounts polled each minute by a real daemon, mails to a real SMTP server."""

from __future__ import annotations

import random
import re
import signal
import statistics
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from installation import AGENCY, LEAK, Installation
from mail_servers import Postbox, read_mail, smtp_server

from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import World

ACCOUNTS, AGENCIES = 1000, 50
INTERVAL_SECONDS = 60
WARM_UP_SECONDS = 120  # the first pass reads every profile
PUBLISHING_SECONDS = 240
PATIENCE_SECONDS = 120
POST = re.compile(r"/status/(\d+)")
TOML = f"""[database]
url = "sqlite:///pantau.db"
[mail]
transport = "smtp"
host = "127.0.0.1"
port = {{port}}
security = "none"
sender = "Pantau <pantau@pantau.example.my>"
group_interval = "1s"
[canary]
enabled = false
[web]
listen = "127.0.0.1:0"
[polling]
min_interval = "{INTERVAL_SECONDS}s"
max_interval = "{INTERVAL_SECONDS}s"
[network]
allow = ["127.0.0.1/32"]
[connectors.x]
bearer_token = "sandbox"
base_url = "{{origin}}/x"
"""


class Timed(Postbox):
    """A postbox that knows when each mail came."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[tuple[float, bytes]] = []

    async def handle_DATA(self, server, session, envelope):  # type: ignore[no-untyped-def]  # noqa: N802
        answer = await super().handle_DATA(server, session, envelope)
        self.came.append((time.time(), envelope.content))
        return answer


def publish(world: World) -> dict[str, float]:
    """Publish a leak every half a second; returns when each appeared."""
    dice, served = random.Random(3), {}
    end = time.monotonic() + PUBLISHING_SECONDS
    while time.monotonic() < end:
        handle = f"akaun{dice.randrange(ACCOUNTS)}"
        native_id = world.publish("x", handle, f"{LEAK} {len(served)}", at=datetime.now(UTC))
        served[native_id] = time.time()
        time.sleep(0.5)
    return served


def told(box: Timed) -> dict[str, float]:
    found: dict[str, float] = {}
    for at, content in list(box.came):
        body = read_mail(content).get_body(("plain",))
        for native_id in POST.findall(body.get_content() if body else ""):
            found.setdefault(native_id, at)
    return found


def main() -> None:
    world, box = World(), Timed()
    handles = [f"akaun{number}" for number in range(ACCOUNTS)]
    for handle in handles:
        world.add_account("x", handle, name=f"Akaun {handle}")
    agencies = [{**AGENCY, "code": f"A{n}", "head_email": f"ketua@a{n}.example.my"} for n in range(AGENCIES)]
    owners = [(f"A{number % AGENCIES}", "x", handle, "") for number, handle in enumerate(handles)]
    with tempfile.TemporaryDirectory() as place, Sandbox(world) as sandbox, smtp_server(box) as port:
        toml = TOML.format(origin=f"http://127.0.0.1:{sandbox.port}", port=port)
        here = Installation(Path(place), toml, owners, agencies).write()
        daemon = here.start("run")
        threading.Thread(target=daemon.communicate, daemon=True).start()  # what it says must not fill a pipe
        try:
            time.sleep(WARM_UP_SECONDS)
            served = publish(world)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while told(box).keys() < served.keys() and time.monotonic() < deadline:
                time.sleep(1)
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(timeout=30)
    came = told(box)
    waits = sorted(came[one] - served[one] for one in served if one in came)
    p99 = waits[int(len(waits) * 0.99)]
    print(
        f"post → mail  {ACCOUNTS} accounts each {INTERVAL_SECONDS} s: {len(served)} posts, {len(served) - len(waits)} untold;"
        f" median {statistics.median(waits):.1f} s, p99 {p99:.1f} s, longest {waits[-1]:.1f} s"
        f" (limit {INTERVAL_SECONDS + 5})"
    )


if __name__ == "__main__":
    main()
