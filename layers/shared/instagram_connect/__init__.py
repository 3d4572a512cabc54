"""Instagram Connect: what its functions share.

Imports point one way: functions import this package, never the reverse. Only `repository`, `schema_cache`
and `schema_contract` spell names of tables and RPCs; only `api_gateway` knows the shapes of events and responses.
"""
