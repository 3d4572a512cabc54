"""Refresh tasks with encrypted tokens, and the refresh of one account."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from instagram_connect.meta.facebook_login import FacebookLogin
from instagram_connect.meta.instagram_login import InstagramLogin
from instagram_connect.models import Provider
from instagram_connect.refresh.account_refresh import AccountRefresh
from instagram_connect.refresh.models import RefreshTask
from instagram_connect.security.token_vault import TokenBinding, TokenVault
from meta_simulator.seed import ANA_CAFE
from tests.support.account_refreshes import ACCOUNT_ID, FAR, LEAD, FakeProduct
from tests.support.fakes import NOW, USER_ID
from tests.support.instagram_client import CAFE


@pytest.fixture
def make_task(vault: TokenVault) -> Callable[..., RefreshTask]:
    """Tasks as storage returns them, with the tokens encrypted."""

    def make(
        access_token: str = "IGAA-old",
        user_token: str | None = None,
        provider: Provider = Provider.INSTAGRAM,
        **changes: Any,
    ) -> RefreshTask:
        binding = TokenBinding(USER_ID, provider, CAFE)
        return RefreshTask(
            **{
                "account_id": ACCOUNT_ID,
                "user_id": USER_ID,
                "provider": provider,
                "instagram_business_id": CAFE,
                "meta_user_id": None,
                "page_id": ANA_CAFE.id if provider is Provider.FACEBOOK else None,
                "issued_at": NOW - timedelta(days=50),
                "expires_at": FAR,
                "data_access_expires_at": None,
                "access_token_ciphertext": vault.encrypt(access_token, binding),
                "user_token_ciphertext": vault.encrypt(user_token, binding) if user_token else None,
                **changes,
            }
        )

    return make


@pytest.fixture
def make_flow(
    vault: TokenVault, facebook: FacebookLogin, instagram_login: InstagramLogin
) -> Callable[..., AccountRefresh]:
    """The refresh against the simulator, or against another Instagram product."""

    def make(instagram_product: FakeProduct | InstagramLogin = instagram_login) -> AccountRefresh:
        products: Any = {Provider.FACEBOOK: facebook, Provider.INSTAGRAM: instagram_product}
        return AccountRefresh(products, vault, lambda: NOW, LEAD.total_seconds())

    return make
