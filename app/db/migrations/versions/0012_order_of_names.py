"""The order of names is that of their characters, in every database: they are folded to be sorted."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Apply."""
    op.execute('ALTER TABLE "user" ALTER sort_name TYPE text COLLATE "C"')


def downgrade() -> None:
    """Take back."""
    op.execute('ALTER TABLE "user" ALTER sort_name TYPE text')
