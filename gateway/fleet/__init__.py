"""The other gateways in front of one instance, met through a Redis or Valkey store.

open       join and leave
fleet      the room's verbs
turns      turns at the Jobs API, reserved for the whole fleet
reads      fresh answers, and who fetches them
once       locks and claims
spaces     entries that gateways keep for each other
news       what gateways tell each other
link       whether the store can be used: away and back
opening    two new connections
trial      whether the store would let a gateway in
places     where the store is: one server, Sentinels, Cluster
calls      calls of the script
script     the script, from `lua/`
wire       one connection, its replies in order
clock      the store's clock
keys       names in the store
reasons    why the store cannot be used, without secrets

In the store, after the prefix `adt-gateway:1:{host of the upstream}:`, or `…{host:port}:` where the port is
not 443, and for how long:

life                 which life of the data this is, to notice their loss; 8 days since the last look
turns                the next turn and the pause; a day after the next turn
read:<digest>        a fresh answer; its freshness, jobs.max_staleness or jobs.terminal_staleness
lead:<digest>        who fetches an answer; its lease
forgot               the moment before which no answer counts; 2 hours
lock:<digest>        who has a lock; its lease
done:<digest>        who has won a claim; 8 days
space:<name>         entries by key; as long as the longest of them
space:<name>:until   when each of them ends; the same
news                 the channel

Digests are SHA-256. Moments are microseconds of the store's clock. No token is ever there.
"""

from gateway.fleet.calls import OPERATION_BUDGET, FleetTold
from gateway.fleet.fleet import Fleet, FleetView
from gateway.fleet.open import open_fleet
from gateway.fleet.reads import Look

__all__ = ["OPERATION_BUDGET", "Fleet", "FleetTold", "FleetView", "Look", "open_fleet"]
