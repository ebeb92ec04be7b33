"""Long lists are read in the order of an index.

An event is found by its hash alone: to PostgreSQL, all indexes that begin with the stream are equally good to read a
stream, but the order of hashes leads all over the table. The deliveries of a webhook are found by the webhook alone, so
that the index which does so has them in the order of the list.
"""

from alembic import op

revision = "0013"
down_revision = "0012"

DELIVERIES = ["webhook_id", "created_at", "id"]


def upgrade() -> None:
    """Apply."""
    op.create_index("ix_history_event_hash", "history_event", ["hash"])
    op.drop_index("ix_history_event_stream_hash", "history_event")
    op.create_index("ix_webhook_delivery_webhook_id_created_at_id", "webhook_delivery", DELIVERIES)
    op.drop_index("ix_webhook_delivery_site_id_webhook_id_created_at_id", "webhook_delivery")


def downgrade() -> None:
    """Take back."""
    op.create_index(
        "ix_webhook_delivery_site_id_webhook_id_created_at_id", "webhook_delivery", ["site_id", *DELIVERIES]
    )
    op.drop_index("ix_webhook_delivery_webhook_id_created_at_id", "webhook_delivery")
    op.create_index("ix_history_event_stream_hash", "history_event", ["stream", "hash"])
    op.drop_index("ix_history_event_hash", "history_event")
