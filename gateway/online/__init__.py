"""Whether token and upstream can be had, asked once, with what to do where they cannot.

finding    what a step found: outcome, words, advice
network    name resolution and TCP, address by address
transport  the way to the upstream: direct or through the proxy, and a client that looks at it
secure     TLS: version, certificate, and which CA failed
request    GET /eventroutes through the gateway's own engine, its answer within bounds, the clock
answer     what the answer means
files      the files in use, and how long they are good for
claims     whom a token names, read without verification
issuer     what to do about a missing token
advice     what to do about a refused connection, a certificate
listeners  whether the gateway's own ports are free

A token goes to the configured origin and nowhere else: no redirect is followed, no proxy of the environment
used, and every step before the request sends nothing of it. Whatever came from outside is text without
bounds on its characters; whoever prints it escapes it.
"""

from gateway.online.answer import judge
from gateway.online.claims import Claims, read_claims
from gateway.online.files import look_at_files
from gateway.online.finding import Finding, Outcome, Step, failed, noted, ok, skipped, warned
from gateway.online.issuer import token_advice
from gateway.online.listeners import look_at_listeners
from gateway.online.network import Address, connect, resolve
from gateway.online.request import Answer, Reply, Send, Unanswered, ask, clock
from gateway.online.secure import handshake
from gateway.online.transport import Way

__all__ = [
    "Address",
    "Answer",
    "Claims",
    "Finding",
    "Outcome",
    "Reply",
    "Send",
    "Step",
    "Unanswered",
    "Way",
    "ask",
    "clock",
    "connect",
    "failed",
    "handshake",
    "judge",
    "look_at_files",
    "look_at_listeners",
    "noted",
    "ok",
    "read_claims",
    "resolve",
    "skipped",
    "token_advice",
    "warned",
]
