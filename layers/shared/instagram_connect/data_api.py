"""The connection to Supabase's Data API (PostgREST), as the backend's own role.

`postgrest` is the part of supabase-py that speaks to the Data API; the rest of it (realtime, storage, auth) is not
needed here and would double the time to start.
"""

import httpx
from postgrest import SyncPostgrestClient

# With connecting and sending, 7 s at worst for one attempt.
TIMEOUT = httpx.Timeout(connect=1.5, write=1.5, read=4.0, pool=0.5)
# A frozen Lambda keeps sockets that the other side has long closed; an idle one is better opened anew.
KEEPALIVE_EXPIRY_S = 10.0


def connect(supabase_url: str, secret_key: str) -> SyncPostgrestClient:
    """A client for `<supabase_url>/rest/v1`. Does no I/O.

    New keys (`sb_secret_…`) are opaque and go into the apikey header only; legacy ones are JWTs and are needed as
    bearer token too. Source: Supabase, "Understanding API keys".
    """
    headers = {"apikey": secret_key}
    if not secret_key.startswith("sb_"):
        headers["Authorization"] = f"Bearer {secret_key}"
    http = httpx.Client(timeout=TIMEOUT, limits=httpx.Limits(keepalive_expiry=KEEPALIVE_EXPIRY_S))
    return SyncPostgrestClient(
        f"{supabase_url.rstrip('/')}/rest/v1", headers=headers, http_client=http, retry_enabled=False
    )
