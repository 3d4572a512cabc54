"""The exchange of a code in unit tests: real flow, vault and records, without states and remembered outcomes."""

from typing import Any

from instagram_connect.connections.connect import ConnectionFlow
from instagram_connect.connections.connect_once import ConnectOnce
from instagram_connect.connections.login_records import LoginRecords


def connect_once(flow: ConnectionFlow, records: LoginRecords) -> ConnectOnce:
    """For `spend_code` alone, which uses flow and records and nothing else."""
    absent: Any = None
    return ConnectOnce(
        products=absent,
        states=absent,
        records=records,
        flow=flow,
        repository=absent,
        account_list=absent,
        redirect_uris=(),
        is_state_required=False,
    )
