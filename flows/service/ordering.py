"""In which order the server's automations see events: as Prefect orders them, but an event whose
predecessor this server never saw, because it was told to the one before it, waits for half a minute
and not for a quarter of an hour. After a power cut that is every crash of a run.

The setting `server.events.causal_ordering` names this module.
"""

from datetime import timedelta

from prefect.server.events.ordering import memory

__all__ = ["CausalOrdering"]

vars(memory)["PRECEDING_EVENT_LOOKBACK"] = timedelta(seconds=30)
CausalOrdering = memory.CausalOrdering
