"""Meta's webhooks: `queue` keeps them, `parser` turns them into events, `ingestion` stores and publishes the events."""
