"""Benchmarks: `python -m tests.bench` measures, `--profile` says where the time goes.

__main__      the commands
side_by_side  the gateway beside its peers: rounds, then what a process costs by itself
candidates/   the gateway, its peers, and the limits
site          what all of them have around them: a static nginx, the issuer, the OTLP sink
nginx         its configurations
programs      where the programs are, and how to get them
workloads     what is asked
wrk           the load generator
rounds        every candidate through every workload, one right after the other
duties        whether a candidate did what it had to do while it was measured
samples       what was measured, and its ratios round by round
footprint     time to ready, memory after many requests, memory of an idle connection
reach         what is a must, what the goal, and what was reached
comparison    all candidates beside each other, as a table and as Markdown
plot          the same as a picture
report        figures, their table, the JSON file
jobs_api      the Jobs API: `jobs` and `ledger`
jobs          many pollers (`pollers`) in front of the emulator (`azure`) with its limit
ledger        ten thousand jobs (`observation`)
profiling     where the time of a request goes (`profiled`, `load`)
rig           upstream, issuer, OTLP sink and gateways, each a process of its own
processes     start and end processes, pin them, read their memory and CPU time
server        a small HTTP/1.1 server, the base of `upstream` and `sink`
upstream      the upstream: a job, and large bodies
sink          the token issuer and the OTLP receiver
client        one connection, blocking
pattern       the bytes of a large body
"""
