"""Instagram Connect: what its functions share.

Functions import this package, never the reverse; tools/architecture.py says which package may import which. Only the
modules named `repository`, `schema_cache` and `schema_contract` name tables and RPCs; only `api` knows the shapes of
API Gateway's events and of our answers.
"""
