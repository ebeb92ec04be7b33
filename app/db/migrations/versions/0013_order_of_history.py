"""An event is found by its hash alone, since no index but one by number or time shall serve to read a stream.

To PostgreSQL, all indexes that begin with the stream are equally good for that, but the order of hashes leads all over
the table.
"""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Apply."""
    op.drop_index("ix_history_event_stream_hash", "history_event")
    op.create_index("ix_history_event_hash", "history_event", ["hash"])


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_history_event_hash", "history_event")
    op.create_index("ix_history_event_stream_hash", "history_event", ["stream", "hash"])
