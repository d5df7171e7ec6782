"""The demo: emulator, token issuer and gateway come up, and an app without credentials uses them.

stage      brings everything up, prints where it is, and takes it down
scenario   what the app does, and what must be seen
"""

from gateway.demo.scenario import DemoFailed
from gateway.demo.stage import run_demo

__all__ = ["DemoFailed", "run_demo"]
