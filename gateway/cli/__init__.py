"""The commands.

commands   serve, demo, emulator; the program itself
check      check; with --online, checkup/ goes through the steps
certs      certs
jobs       jobs list, show, watch, cancel
options    what commands have in common: options, exit codes, how one ends

Exit codes: 0 done, 1 failed at run time, 2 bad usage or configuration, 130 ended by Ctrl-C.
"""

__all__ = ["main"]


def main() -> None:
    """The console script."""
    # Imported here: that takes a moment, in which Ctrl-C is answered as later.
    try:
        from gateway.cli.commands import app  # noqa: PLC0415

        app()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
