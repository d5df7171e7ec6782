"""Which modules are mutated, and which tests judge each: its own, and no others.

A test of the whole gateway that happens to fail is no proof that the module's rule is written down.
"""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SURVIVORS = Path(__file__).with_name("survivors.toml")
SHARE = 0.9
"""Of a target's mutants, the least that has to be killed."""

TARGETS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "trace_context": (("trace_context.py",), ("test_trace_context*.py",)),
    "reader": (("reader.py", "chunks.py"), ("test_reader*.py", "test_chunks*.py")),
    "headers": (("headers.py",), ("test_headers*.py",)),
    "admission": (("admission.py",), ("test_admission*.py",)),
    "callers": (("callers.py",), ("test_callers*.py",)),
    "routes": (("routes.py",), ("test_routes*.py",)),
    "errors": (("errors/*.py",), ("test_errors*.py",)),
    "retry_after": (("retry_after.py",), ("test_retry_after*.py",)),
    "resilience": (("resilience/*.py",), ("test_resilience*.py",)),
    "attempts": (("attempts/again.py",), ("test_attempts*.py",)),
    "tokens": (
        (
            "tokens/keeper.py",
            "tokens/pace.py",
            "tokens/token.py",
            "tokens/clock.py",
            "tokens/claims.py",
            "tokens/challenge.py",
        ),
        (
            "test_tokens_corners.py",
            "test_tokens_keeper.py",
            "test_tokens_pace.py",
            "test_tokens_properties.py",
            "test_tokens_replace.py",
            "test_tokens_state.py",
        ),
    ),
    "token_sources": (
        (
            "tokens/credentials.py",
            "tokens/entra.py",
            "tokens/file.py",
            "tokens/oauth2.py",
            "tokens/secret.py",
            "tokens/sources.py",
            "tokens/static.py",
            "tokens/unreachable.py",
        ),
        (
            "test_tokens_credentials.py",
            "test_tokens_entra*.py",
            "test_tokens_file.py",
            "test_tokens_oauth2*.py",
            "test_tokens_properties.py",
            "test_tokens_secret*.py",
            "test_tokens_sources.py",
            "test_tokens_unreachable.py",
        ),
    ),
}
"""By name: the modules below `gateway/`, and the test files below `tests/`.

Of the attempts only the rule is judged here; how they are made shows over real sockets alone (tests/wire).
"""


def sources_of(target: str) -> Iterator[Path]:
    """The modules of a target, below the root."""
    for pattern in TARGETS[target][0]:
        yield from sorted(path.relative_to(ROOT) for path in (ROOT / "gateway").glob(pattern))


def tests_of(target: str) -> list[str]:
    """The test files of a target, below the root."""
    found = {path for pattern in TARGETS[target][1] for path in (ROOT / "tests").glob(pattern)}
    return [str(path.relative_to(ROOT)) for path in sorted(found)]
