"""adt-gateway: a sidecar in front of apps that use Azure Digital Twins.

A corridor and rooms. The corridor tells one request's life; a room has one concern and imports no other room.
In the order in which a request meets them:

cli/           the commands (`__main__` is the same program)
config/        TOML and environment to one frozen, validated Settings, or every problem at once
app            composition root: builds the long-lived objects, mounts proxy and admin
serve          two listeners in one process and one loop; readiness, drain, shutdown
server         uvicorn's server, less what two in one process and a drain cannot use
listeners      the open sockets, before anything is served
tls            the data listener's certificates, read again when they change
protocol       the server's HTTP/1.1 protocol, made strict
awaiting       how long a connection is held for what has not come
cycle          one request in the server: body and response
reader         the strict reader of HTTP/1.1 requests
request_line   a request's first line, taken apart
field_lines    a header's line becomes a name and a value
chunks         a chunk's line: what it says, and how much it may say
flow           when a connection is read and written
handshakes     TLS connections from the moment they are accepted
crowd          how many connections a listener holds
lingering      the app's connection: when a response goes out, and closing in two steps
exchange       the record of one request: what arrived, was decided, happened, and when
failures       every way in which the gateway itself fails
proxy          THE STORY: read it first
arrival        what arrives: scope to exchange
downstream     the app's side: body, relay with back-pressure, a client that left, an honest cut
upload         a body that streams to the upstream as it comes
deadline       await with a deadline that costs nothing where nothing waits
scheduling     threads that do not interrupt the event loop
routes         method and raw path to a route with a bounded label
trace_context  W3C trace context: parse, continue, format
spans/         server and client spans, OTLP export
callers        who may use the gateway, and the caller's name
admission      what may pass
drain          whether the gateway still takes requests
afterwards     what is over in one turn of the loop is told in the next, many at once
attempts/      token, headers, client span, round trip; once more where that is safe
resilience/    when to leave the upstream alone, and how often may be tried again
job_requests/  the Jobs API's pace: shared reads, writes once, turns
retry_after    how long the upstream asks to be left alone
tokens/        hand out a valid token: one state machine, several sources
headers        header rules both ways
upstream/      one round trip: slots, deadlines, engines
answer         errors normalised, links led back, jobs observed
bodies         reading a bounded part of a body
errors/        every failure has one name, one status, one body
links          nextLink and Operation-Location lead back to the gateway
jobs/          what is known of jobs, and when their API may be called: ledger, stores, governor, watcher
fleet/         the other gateways of one instance, through a store: turns, reads, locks, claims, news
metrics/       what Prometheus sees
recent/        the last minutes, kept for the status page
access_log/    one line for each exchange
status         what the admin listener shows of the gateway's own state
admin/         /metrics, /livez, /readyz, /api, the status page
console/       the jobs for people, in a terminal
online/        whether token and upstream can be had, asked once
certificates/  a local CA and a certificate for the data listener
demo/          the demo of the main job
emulator/      the upstream as a local server, with a token issuer
"""
