"""`check --online`: what the rooms find, joined.

run      the steps in their order
token    a token from the configured source, and whom it names
traces   an export without spans
store    the fleet's store
mask     secrets that others say again
"""

from gateway.cli.checkup.run import Checkup

__all__ = ["Checkup"]
