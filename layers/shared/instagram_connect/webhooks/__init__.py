"""Meta's webhooks: `queue` keeps them, `parser` makes events of them, `ingestion` stores and publishes those."""
