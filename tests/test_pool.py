"""The connections that reads share."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.config import Settings
from app.db.pool import Pool


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    """Two connections at most, and not much patience."""
    assert settings.database_url is not None
    tight = settings.model_copy(update={"database_pool_size": 2, "database_pool_timeout": 5.0})
    pool = Pool(settings.database_url.get_secret_value(), tight)
    yield pool
    await pool.close()


async def backend(pool: Pool) -> int:
    """The process at the other end of the connection that is next."""
    number: int = (await pool.row("SELECT pg_backend_pid()", []))[0]
    return number


async def test_a_connection_is_used_again(pool: Pool) -> None:
    assert await backend(pool) == await backend(pool)


async def test_who_has_waited_longest_is_next(pool: Pool) -> None:
    order = []
    async with pool.connection(), pool.connection():
        pass

    async def ask(number: int) -> None:
        async with pool.connection():
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*map(ask, range(20)))
    assert order == list(range(20))


async def test_no_more_connections_than_allowed_are_opened(pool: Pool) -> None:
    async def ask() -> int:
        async with pool.connection() as connection:
            await asyncio.sleep(0)
            number: int = await connection.fetchval("SELECT pg_backend_pid()")
            return number

    assert len(set(await asyncio.gather(*(ask() for _ in range(20))))) == 2


async def test_a_statement_that_is_broken_off_does_not_keep_the_next_waiting(pool: Pool) -> None:
    async with pool.connection():
        # The other connection is the only one that is left, and this statement is known to it.
        await pool.row("SELECT pg_sleep($1)", [0])
        sleeping = asyncio.ensure_future(pool.row("SELECT pg_sleep($1)", [60]))
        await asyncio.sleep(0)
        sleeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeping
        async with asyncio.timeout(5):
            assert await pool.row("SELECT 1", []) == (1,)


async def test_a_refused_statement_leaves_a_good_connection(pool: Pool) -> None:
    number = await backend(pool)
    with pytest.raises(asyncpg.PostgresError):
        await pool.row("SELECT 1 / 0", [])
    with pytest.raises(asyncpg.DataError):
        await pool.row("SELECT $1::int", ["x"])
    assert await backend(pool) == number


async def test_who_may_not_write_any_more_has_the_readers_look_anew_as_well(pool: Pool) -> None:
    writes = Pool(pool.url, pool.settings, beside=pool)
    async with pool.connection() as one, pool.connection() as other:
        pass
    async with pool.connection() as used:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with writes.connection() as connection:
                await connection.execute("BEGIN READ ONLY; CREATE TABLE nowhere ()")
        assert [connection.is_closed() for connection in (one, other)].count(True) == 1
        assert await used.fetchval("SELECT 1") == 1
    assert one.is_closed() and other.is_closed()
    assert await pool.row("SELECT 1", []) == (1,)
    await writes.close()


async def test_a_lost_connection_is_replaced(pool: Pool) -> None:
    number = await backend(pool)
    async with pool.connection() as lost:
        lost.terminate()
    assert await backend(pool) != number


async def test_after_it_was_closed_it_opens_new_ones(pool: Pool) -> None:
    number = await backend(pool)
    await pool.close()
    assert await backend(pool) != number


async def test_a_transaction_that_nobody_ended_is_not_handed_on(pool: Pool) -> None:
    number = await backend(pool)
    async with pool.connection() as connection:
        await connection.execute("BEGIN")
    assert await backend(pool) != number


async def test_who_is_interrupted_while_a_connection_is_opened_leaves_none(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[asyncpg.Connection] = []
    is_open = asyncio.Event()

    async def wait(connection: asyncpg.Connection, *_: object, **__: object) -> None:
        opened.append(connection)
        is_open.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "set_type_codec", wait)
        task = asyncio.create_task(pool.row("SELECT 1", []))
        await is_open.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [connection.is_closed() for connection in opened] == [True]
    assert (await pool.row("SELECT 1", []))[0] == 1


async def test_texts_of_one_type_are_passed_on_as_bytes_and_no_column_has_that_type(pool: Pool) -> None:
    told = await pool.row("SELECT CAST($1 AS BPCHAR), CAST($2 AS TEXT)", ["é𐀀 "] * 2)
    assert list(told) == ["é𐀀 ".encode(), "é𐀀 "]
    of_ours = "table_schema = 'public' AND data_type = 'character'"
    assert not await pool.rows(f"SELECT table_name FROM information_schema.columns WHERE {of_ours}", [])
