"""Long load and fault runs: `python -m tests.stress [ROW ...]` says which rows hold.

__main__     the command
row          what a row is
rows/        the rows, one file each
stage        what rows work with: upstream, collector, gateways, loads; each a process on its core
gateway      a gateway's process, and what can be seen of it from outside
watched      the gateway's process where tasks are counted too
upstream     the upstream: each request's query says what comes of it
collector    the trace collector
client       an app's connection
load         requests at a steady rate
azure        the emulator of ADT, and when requests came to it
store        Redis, as one server, with Sentinels, and as a Cluster
fleet        gateways that share a store
cost         what each call costs the store
pollers      apps that ask how jobs are doing, each its gateway
greedy       apps that ask again as soon as they have an answer
crowd        connections that are in no hurry
variety      requests of every kind
progress     what runs, and how long it will take
report       the table, the JSON file, the table for the README
"""
