"""Rate limits of the Graph hosts: usage headers, and errors beyond the limits in the settings.

Source: Meta, "Rate Limits".
"""

import json
from dataclasses import dataclass

from meta_simulator import errors
from meta_simulator.callers import calling_account, calling_app
from meta_simulator.graph.call import GraphCall
from meta_simulator.recent_calls import Usage
from meta_simulator.simulator import Simulator


@dataclass(frozen=True)
class CallUsage:
    """The usage of the app and the account behind a call; None if not limited."""

    app: Usage | None = None
    account: Usage | None = None
    account_id: str = ""

    def require_within_limits(self) -> None:
        """Raise GraphError 80002 if the account's limit is exceeded, or 4 if the app's is."""
        if self.account is not None and self.account.is_exceeded:
            raise errors.account_limit_reached()
        if self.app is not None and self.app.is_exceeded:
            raise errors.app_limit_reached()

    def headers(self) -> dict[str, str]:
        """Return the usage headers, which error responses carry too."""
        headers = {}
        if self.app is not None:
            percent = self.app.percent
            headers["X-App-Usage"] = _compact({"call_count": percent, "total_time": percent, "total_cputime": percent})
        if self.account is not None:
            headers["X-Business-Use-Case-Usage"] = _compact({self.account_id: [_business_usage(self.account)]})
        return headers


def count_call(simulator: Simulator, call: GraphCall) -> CallUsage:
    """Count a call against the configured limits. `api.instagram.com` has none."""
    app_id = calling_app(simulator, call)
    if call.host == "api.instagram.com" or app_id is None:
        return CallUsage()
    settings, now = simulator.settings, simulator.clock.now()
    account_id = calling_account(simulator, call)
    app = account = None
    if settings.app_calls_per_hour is not None:
        app = simulator.recent_calls.add((call.host, app_id), now, settings.app_calls_per_hour)
    if settings.account_calls_per_hour is not None and account_id is not None:
        account = simulator.recent_calls.add((call.host, app_id, account_id), now, settings.account_calls_per_hour)
    return CallUsage(app, account, account_id or "")


def _business_usage(usage: Usage) -> dict[str, object]:
    return {
        "type": "instagram",
        "call_count": usage.percent,
        "total_cputime": usage.percent,
        "total_time": usage.percent,
        "estimated_time_to_regain_access": usage.regain_minutes,
    }


def _compact(content: object) -> str:
    return json.dumps(content, separators=(",", ":"))
