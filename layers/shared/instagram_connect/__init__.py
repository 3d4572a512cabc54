"""Instagram Connect: what its functions share.

Imports point one way: functions import this package, never the reverse. Only `repository`, `schema_cache`
and `schema_contract` spell names of tables and RPCs; only `api_gateway` knows the shapes of events and responses.
"""

import gc

# What imports make stays. By default the collector looks through it time and again meanwhile: up to a tenth of a start.
gc.set_threshold(50_000)
