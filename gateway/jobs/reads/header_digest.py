"""What a read says to the upstream besides its target: its headers, all but those that change no answer.

Whoever is given the answer to another's request must have asked for just that: a header that the gateway does
not know may be one that the upstream goes by.
"""

import hashlib
import re
from operator import itemgetter
from typing import Final

from gateway.exchange import RawHeaders

ECHOED: Final = frozenset(
    {
        b"client-request-id",
        b"request-id",
        b"x-correlation-id",
        b"x-ms-client-request-id",
        b"x-ms-correlation-request-id",
        b"x-request-id",
    }
)
"""Names of one request, which an answer may repeat."""

_TRACES: Final = frozenset(
    {
        b"b3",
        b"baggage",
        b"correlation-context",
        b"elastic-apm-traceparent",
        b"request-context",
        b"sentry-trace",
        b"traceparent",
        b"tracestate",
        b"uber-trace-id",
        b"x-amzn-trace-id",
        b"x-b3-flags",
        b"x-b3-parentspanid",
        b"x-b3-sampled",
        b"x-b3-spanid",
        b"x-b3-traceid",
        b"x-datadog-origin",
        b"x-datadog-parent-id",
        b"x-datadog-sampling-priority",
        b"x-datadog-tags",
        b"x-datadog-trace-id",
    }
)
"""The request's place in a trace; tracers put them on whatever their app sends."""

_SENDER: Final = frozenset({b"date", b"user-agent", b"x-ms-useragent"})
"""Who sends it, and when: .NET, Java, JavaScript (in browsers the last one), Python, each in its way."""

_PLAIN: Final = re.compile(rb"[A-Za-z0-9 !#%&()*+,./:;=?@\[\]_|~-]{0,256}")
"""Nothing that a filter before the upstream may take for an attack, and nothing that fills its buffers."""

_OWN: Final = {
    **dict.fromkeys(ECHOED | _TRACES | _SENDER, _PLAIN),
    # What the Azure CLI says of a body that its reads do not have; of another type some servers answer 415.
    b"content-type": re.compile(rb"application/json(?:; ?charset=utf-8)?", re.IGNORECASE),
    # The gateway's own business, see `patience`.
    b"prefer": re.compile(rb"wait *= *\"?[0-9]{1,9}\"?", re.IGNORECASE),
    # .NET asks for the echo, Python does not; an echo is given to nobody else.
    b"x-ms-return-client-request-id": re.compile(rb"true|false", re.IGNORECASE),
}
"""The headers that are each request's own while their value is one of these: no answer depends on them."""

_OWN_BYTES: Final = 1_024
"""What they may have in all: what is more might be more than the upstream takes."""


def header_digest(sent: RawHeaders) -> bytes:
    """A digest of the headers, equal where they say the same to the upstream.

    The order of lines counts within one name only (RFC 9110, section 5.3).
    """
    counted = []
    seen = set()
    left = _OWN_BYTES
    for pair in sent:
        name, value = pair
        form = _OWN.get(name)
        if form is not None and name not in seen and len(value) <= left and form.fullmatch(value):
            seen.add(name)
            left -= len(value)
        else:
            counted.append(pair)
    counted.sort(key=itemgetter(0))
    # Neither a colon in a name nor a line's end in a value is ever let in.
    told = b"\n".join([b"%b:%b" % pair for pair in counted])
    return hashlib.blake2b(told, digest_size=16).digest()
