"""When a user is asked to reconnect: ten days before the login or the data access ends."""

from datetime import timedelta

import pytest

from instagram_connect.errors import RECONNECT_HINTS
from instagram_connect.models import Provider
from instagram_connect.runtime.deadline import Deadline
from tests.support.account_refreshes import (
    LEAD,
    LONG_LIVED,
    FakeProduct,
    MakeFlow,
    MakeTask,
    attempted,
    facebook_tokens,
    renewed,
)
from tests.support.fakes import NOW
from tests.support.meta_client import MetaClient


@pytest.mark.parametrize(
    ("expires_in", "data_access_in", "expected"),
    [
        (timedelta(days=60), timedelta(days=90), None),
        (timedelta(days=60), None, None),
        (None, None, None),
        (LEAD + timedelta(seconds=1), None, None),
        (LEAD, None, ("LOGIN_ENDS", LEAD)),
        (timedelta(days=3), None, ("LOGIN_ENDS", timedelta(days=3))),
        (None, timedelta(days=3), ("DATA_ACCESS_ENDS", timedelta(days=3))),
        (None, LEAD + timedelta(seconds=1), None),
        (timedelta(days=60), LEAD, ("DATA_ACCESS_ENDS", LEAD)),
        (timedelta(days=4), timedelta(days=5), ("LOGIN_ENDS", timedelta(days=4))),
        (timedelta(days=5), timedelta(days=4), ("DATA_ACCESS_ENDS", timedelta(days=4))),
        (timedelta(days=-1), timedelta(days=4), ("LOGIN_ENDS", timedelta(days=-1))),
    ],
)
def test_user_is_asked_ten_days_before_the_earlier_end(
    make_flow: MakeFlow,
    make_task: MakeTask,
    expires_in: timedelta | None,
    data_access_in: timedelta | None,
    expected: tuple[str, timedelta] | None,
) -> None:
    product = FakeProduct(
        renewal=renewed(
            expires_at=None if expires_in is None else NOW + expires_in,
            data_access_expires_at=None if data_access_in is None else NOW + data_access_in,
            tells_data_access=True,
        )
    )

    done = attempted(make_flow, make_task, product)

    assert done.renewal is not None
    request = done.renewal.reconnect
    if expected is None:
        assert request is None
    else:
        assert request is not None
        assert (request.reason, request.before - NOW) == expected
        assert request.hint == RECONNECT_HINTS[request.reason]


def test_known_data_access_end_is_kept_when_meta_omits_it(make_flow: MakeFlow, make_task: MakeTask) -> None:
    known = NOW + timedelta(days=5)

    done = make_flow(FakeProduct()).attempt(make_task(data_access_expires_at=known), Deadline(20))

    assert done.renewal is not None
    assert done.renewal.data_access_expires_at == known
    assert done.renewal.reconnect is not None
    assert (done.renewal.reconnect.reason, done.renewal.reconnect.before) == ("DATA_ACCESS_ENDS", known)


def test_withdrawn_data_access_end_is_cleared(make_flow: MakeFlow, make_task: MakeTask) -> None:
    product = FakeProduct(renewal=renewed(tells_data_access=True))

    done = make_flow(product).attempt(make_task(data_access_expires_at=NOW + timedelta(days=5)), Deadline(20))

    assert done.renewal is not None
    assert (done.renewal.data_access_expires_at, done.renewal.reconnect) == (None, None)


def test_page_with_an_ending_login_is_refreshed_and_its_user_asked(
    make_flow: MakeFlow, make_task: MakeTask, meta: MetaClient
) -> None:
    end = NOW + LONG_LIVED - timedelta(days=55)
    page, person = facebook_tokens(meta, days=55)

    done = make_flow().attempt(make_task(page, person, Provider.FACEBOOK, expires_at=end), Deadline(20))

    assert done.error is None
    assert done.renewal is not None
    assert done.renewal.reconnect is not None
    assert (done.renewal.reconnect.reason, done.renewal.reconnect.before) == ("LOGIN_ENDS", end)
