"""People's names are sorted by their characters in every database, and found with letters as they are typed elsewhere.

Names were folded before, but for letters that Unicode does not take apart, such as those of Łukasz and Øster.
"""

from alembic import op

revision = "0012"
down_revision = "0011"

FOLD = """
UPDATE "user" SET sort_name = replace(replace(replace(
    translate(sort_name, 'łøđðıħ', 'loddih'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th')
WHERE sort_name ~ '[łøđðıħæœþ]'
"""


def upgrade() -> None:
    """Apply."""
    op.execute(FOLD)
    op.execute('ALTER TABLE "user" ALTER sort_name TYPE text COLLATE "C"')


def downgrade() -> None:
    """Take back; folded letters stay so, and do no harm."""
    op.execute('ALTER TABLE "user" ALTER sort_name TYPE text')
