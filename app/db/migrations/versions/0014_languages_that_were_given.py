"""The language that an import gives a person is told from the one that everybody has until it is known.

Until now only an import could give another one to somebody who had not signed in.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "user", sa.Column("language_given", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.execute("""UPDATE "user" SET language_given = true WHERE subject IS NULL AND language <> 'EN'""")


def downgrade() -> None:
    """Take back."""
    op.drop_column("user", "language_given")
