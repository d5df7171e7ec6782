"""The commands.

commands   serve, demo, emulator; the program itself
check      check; with --online, checkup/ goes through the steps
certs      certs
jobs       jobs list, show, watch, cancel
options    what commands have in common: options, exit codes, how one ends

Exit codes: 0 done, 1 failed at run time, 2 bad usage or configuration.
"""

from gateway.cli.commands import main

__all__ = ["main"]
