"""asyncpg as applications use it: everything goes in binary, and over a pool."""
import asyncio
import re

import asyncpg
from serve import serve_async, step

masked = re.compile(r"\*{7}[0-9]{4}$")
endless = "SELECT count(*) FROM generate_series(1, 10000000000)"
pool = None


def all_masked(rows):
    return len(rows) > 0 and all(masked.match(row["ssn"]) for row in rows)


async def refused(awaitable):
    try:
        await awaitable
    except asyncpg.PostgresError as error:
        return error.sqlstate


@step
async def open_pool():
    global pool
    pool = await asyncpg.create_pool(min_size=2, max_size=4, command_timeout=30)
    rows = await asyncio.gather(*[pool.fetchval("SELECT $1::int", n) for n in range(40)])
    return rows == list(range(40))


@step
async def statements_of_its_cache():
    async with pool.acquire() as c:
        rows = [await c.fetchrow("SELECT id, ssn FROM customers WHERE id = $1", n) for n in (1, 2, 3, 1)]
        statement = await c.prepare("SELECT id, ssn, birth_date, profile FROM customers WHERE id = $1")
        names = [a.name for a in statement.get_attributes()]
        return [[row["id"] for row in rows], all_masked(rows), names, masked.match((await statement.fetchrow(5))["ssn"]) is not None]


@step
async def types_asked_for_at_first_use():
    async with pool.acquire() as c:
        row = await c.fetchrow("SELECT id, mood, home, moods FROM residents WHERE id = 1")
        await c.set_type_codec("jsonb", encoder=str, decoder=lambda text: "decoded", schema="pg_catalog")
        decoded = await c.fetchval("SELECT profile FROM customers WHERE id = 1")
        await c.reset_type_codec("jsonb", schema="pg_catalog")
        by_parameter = await c.fetchval("SELECT count(*) FROM residents WHERE mood = $1", "happy")
        return [row["mood"], list(row["home"]), row["moods"], decoded, by_parameter]


@step
async def refusals():
    async with pool.acquire() as c:
        idle = await refused(c.execute("DELETE FROM orders WHERE id = $1", 1))
        simple = await refused(c.execute("DELETE FROM orders WHERE id = 1"))

        async def within():
            async with c.transaction():
                await c.execute("INSERT INTO products VALUES (8000, 'not kept', 1)")
                await c.execute("DELETE FROM orders WHERE id = $1", 1)

        outer = await refused(within())
        async with c.transaction():
            await c.execute("INSERT INTO products VALUES (8001, 'kept', 1)")
            inner = await refused(within())
        kept = await c.fetch("DELETE FROM products WHERE id >= 8000 RETURNING id")
        return [idle, simple, outer, inner, [row["id"] for row in kept]]


@step
async def many_and_copy():
    async with pool.acquire() as c:
        await c.executemany("INSERT INTO products VALUES ($1, $2, $3)", [(n, "many", 1) for n in range(8100, 8200)])
        bad = await refused(c.executemany("DELETE FROM orders WHERE id = $1", [(n,) for n in range(3)]))
        copied = await c.copy_records_to_table(
            "products", records=[(n, "copied", 1) for n in range(8200, 8300)], columns=["id", "name", "price"]
        )
        out = bytearray()

        async def take(data):
            out.extend(data)

        await c.copy_from_query("SELECT id, ssn FROM people WHERE id < $1 ORDER BY id", 3, output=take)
        return [bad, copied, out.decode(), await c.execute("DELETE FROM products WHERE id >= 8000")]


@step
async def cursors():
    async with pool.acquire() as c:
        async with c.transaction(readonly=True):
            rows = [row async for row in c.cursor("SELECT id, ssn FROM customers ORDER BY id", prefetch=6)]
        async with c.transaction(isolation="repeatable_read"):
            cursor = await c.cursor("SELECT id, ssn FROM customers ORDER BY id")
            await cursor.forward(2)
            some = await cursor.fetch(3)
        return [len(rows), all_masked(rows), [row["id"] for row in some], all_masked(some)]


@step
async def cancelled():
    async with pool.acquire() as c:
        try:
            await c.fetchval(endless, timeout=0.3)
            return "ended"
        except asyncio.TimeoutError:
            pass
        after = await c.fetchval("SELECT 1")
        task = asyncio.create_task(c.fetchval(endless))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return [after, task.cancelled(), await c.fetchval("SELECT 2")]


@step
async def notified():
    async with pool.acquire() as c, pool.acquire() as other:
        heard = asyncio.get_running_loop().create_future()

        def take(_connection, _pid, channel, payload):
            heard.set_result([channel, payload])

        await c.add_listener("jobs", take)
        await other.execute("NOTIFY jobs, 'work'")
        found = await asyncio.wait_for(heard, 30)
        await c.remove_listener("jobs", take)
        return found


@step
async def returned_clean():
    """What a connection is left with when it was given back."""
    async with pool.acquire() as c:
        await c.execute("SET statement_timeout = '7s'")
        pid = c.get_server_pid()
    async with asyncio.TaskGroup() as group:
        found = [group.create_task(setting(pid)) for _ in range(4)]
    return sorted({task.result() for task in found} - {None})


async def setting(pid):
    async with pool.acquire() as c:
        await asyncio.sleep(0.05)
        if c.get_server_pid() == pid:
            return await c.fetchval("SHOW statement_timeout")


@step
async def while_suspended():
    """The first to come may find connections whose end asyncpg has not seen yet."""
    for _ in range(20):
        try:
            return await pool.fetchval("SELECT 1")
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            return error.sqlstate
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
            await asyncio.sleep(0.05)


@step
async def again():
    return await asyncio.gather(*[pool.fetchval("SELECT $1::int", n) for n in range(8)])


@step
async def close_pool():
    await asyncio.wait_for(pool.close(), 20)
    return True


asyncio.run(serve_async())
