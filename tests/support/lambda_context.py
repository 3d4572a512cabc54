"""Stands in for the context object that Lambda passes to a handler."""

from dataclasses import dataclass


@dataclass
class FakeLambdaContext:
    """As much of Lambda's context as the handlers and Powertools read."""

    function_name: str = "test"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:test"
    aws_request_id: str = "6f1c2e0a-0000-4000-8000-0000000000ff"
    remaining_s: float = 28.0

    def get_remaining_time_in_millis(self) -> int:
        return int(self.remaining_s * 1000)
