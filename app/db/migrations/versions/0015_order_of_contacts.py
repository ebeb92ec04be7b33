"""Contacts and privilege templates are sorted without case and accents."""

from alembic import op

revision = "0015"
down_revision = "0014"

ACCENTS = "\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u3099\u309a"
SORTED = {"contact": "last_name || ' ' || first_name", "privilege_template": "name"}


def upgrade() -> None:
    """Apply."""
    for table, name in SORTED.items():
        op.execute(f"""
            ALTER TABLE {table} ADD sort_name text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
                CASE WHEN char_length({name}) = octet_length({name}) THEN lower({name})
                ELSE replace(replace(replace(replace(translate(
                    lower(regexp_replace(normalize({name}, NFKD), '[{ACCENTS}]', '', 'g')),
                    'łøđðıħς', 'loddihσ'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'), 'ß', 'ss') END
            ) STORED
        """)


def downgrade() -> None:
    """Take back."""
    for table in SORTED:
        op.execute(f"ALTER TABLE {table} DROP sort_name")
