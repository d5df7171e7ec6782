"""Benchmarks: `python -m tests.bench` measures, `--profile` says where the time goes.

__main__     the commands
rig          upstream, issuer, OTLP sink and gateways, each a process of its own
processes    start and end processes, pin them, read their memory and CPU time
server       a small HTTP/1.1 server, the base of `upstream` and `sink`
upstream     the upstream: a job, and large bodies
sink         the token issuer and the OTLP receiver
client       one connection, blocking
load         many connections, in a process of its own
pattern      the bytes of a large body
startup      time to ready and idle memory
latency      what the gateway adds at one connection
throughput   requests per second at 32 connections
transfer     large bodies in constant memory
duties       whether what was asked of the gateway was done while it was measured
report       figures, the table, the JSON file
profiling    where the time of a request goes
profiled     the gateway's process under a profiler
"""
