"""Accounts whose owner asks Meta to revoke or delete."""

from datetime import datetime

from instagram_connect.privacy.repository import PrivacyRepository
from tests.support.database import Database, Postgres
from tests.support.webhook_world import (
    NOW,
    Connected,
    Row,
)


def privacy(database: Database, at: datetime = NOW) -> PrivacyRepository:
    return PrivacyRepository(Postgres(database), lambda: at)


def account_row(database: Database, account: Connected) -> Row:
    row = database.execute(
        "select account.*, credentials.status as credentials_status, access_token_ciphertext, user_token_ciphertext, "
        "lease_owner from instagram_business_accounts as account "
        "join instagram_credentials as credentials on credentials.business_account_id = account.id "
        "where account.id = %s",
        [account.id],
    ).fetchone()
    assert row is not None
    return row
