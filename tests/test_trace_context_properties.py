"""W3C trace context holds for any bytes at all."""

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import RawHeaders
from gateway.trace_context import TraceContext, baggage, parse, propagated, traceparent, tracestate

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

names = st.sampled_from([b"traceparent", b"tracestate", b"baggage", b"accept"])
near_misses = st.builds(
    lambda value, at, byte: value[:at] + byte + value[at + 1 :],
    st.sampled_from([PARENT, b"a=1,b=2", b"k=v;p=q, l=w"]),
    st.integers(0, 60),
    st.binary(max_size=2),
)
header_lists: st.SearchStrategy[RawHeaders] = st.lists(
    st.tuples(names, st.one_of(st.binary(max_size=80), near_misses)), max_size=6
)


@given(header_lists)
def test_any_bytes_give_a_valid_context_or_none(headers: RawHeaders) -> None:
    """Nothing raises, and what comes out is always fit to be sent."""
    context = parse(headers)
    if context is not None:
        line = traceparent(context.trace_id, context.parent_id, context.flags)
        assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]", line)
        assert tracestate([context.tracestate]) == context.tracestate
    bag = baggage(headers)
    assert baggage([(b"baggage", bag)]) == bag
    assert not re.search(rb"[^\x20-\x7e\t]", bag)


ids = st.integers(1, 2**128 - 1)
keys = st.from_regex(r"[a-z0-9][a-z0-9_\-*/@]{0,20}", fullmatch=True)
values = st.from_regex(r"[ -+\--<>-~]{0,20}[!-+\--<>-~]", fullmatch=True)


@given(ids, st.integers(1, 2**64 - 1), st.integers(0, 3), st.dictionaries(keys, values, max_size=32))
def test_what_is_formatted_is_parsed_back(trace: int, span: int, flags: int, members: dict[str, str]) -> None:
    """Any valid context survives a round trip through the header lines."""
    state = ",".join(f"{key}={value}" for key, value in members.items()).encode()
    sent = TraceContext(f"{trace:032x}", f"{span:016x}", flags, state)
    parent = traceparent(sent.trace_id, sent.parent_id, sent.flags)
    assert parse(list(propagated(parent, state, b""))) == sent
