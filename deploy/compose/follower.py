"""An app that follows the jobs through its gateway: it lists them, and reads each that is not finished, again
and again. With many of these ADT is still asked once a second.
"""

import logging
import os
import signal
import sys
import time
from types import FrameType

import httpx

log = logging.getLogger("follower")
PAUSE = 0.1
"""Seconds between two rounds."""
AFTER_TROUBLE = 2.0
UNFINISHED = {"notstarted", "running", "cancelling"}


def look(gateway: httpx.Client) -> dict[str, str]:
    """The status of each import job. Raises httpx.HTTPError."""
    found = {
        job["id"]: job["status"] for job in gateway.get("/jobs/imports").raise_for_status().json()["value"]
    }
    for job_id in [each for each, status in found.items() if status in UNFINISHED]:
        found[job_id] = gateway.get(f"/jobs/imports/{job_id}").raise_for_status().json()["status"]
    return found


def leave(_number: int, _frame: FrameType | None) -> None:
    """End at SIGTERM, which the first process of a container otherwise ignores."""
    sys.exit(0)


def main() -> None:
    """Rounds without end; each change is told."""
    signal.signal(signal.SIGTERM, leave)
    logging.basicConfig(format="%(message)s")
    log.setLevel("INFO")
    known: dict[str, str] = {}
    version = {"api-version": "2023-10-31"}
    with httpx.Client(base_url=os.environ["GATEWAY_URL"], params=version, timeout=60) as gateway:
        while True:
            try:
                now = look(gateway)
                for job_id in sorted(now.keys() - {each for each in known if known[each] == now.get(each)}):
                    log.info("%s %s", job_id, now[job_id])
                known = now
                time.sleep(PAUSE)
            except httpx.HTTPError as error:
                log.warning("the round went wrong: %s", error)
                time.sleep(AFTER_TROUBLE)


if __name__ == "__main__":
    main()
