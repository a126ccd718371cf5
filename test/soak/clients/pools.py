"""The soak's clients in Python: psycopg and asyncpg with their pools. Ends when its input ends, with tallies."""
import asyncio
import json
import logging
import random
import re
import sys
import threading
import time

import asyncpg
import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

# Pools tell of each connection that is refused while the identity is suspended.
logging.disable(logging.CRITICAL)

masked = re.compile(r"\*{7}[0-9]{4}$")
endless = "SELECT pg_sleep(3600)"
stopping = threading.Event()
ended = {"57P01", None}


def new_tally(name):
    return {"name": name, "logins": 0, "refused": 0, "inserted": 0, "lost": 0, "cancelled": 0, "bare": 0, "answered": 0, "strange": {}}


def count(tally, state, text):
    if state == "42501":
        tally["refused"] += 1
    elif state == "57014":
        tally["cancelled"] += 1
    elif state == "22012":
        tally["answered"] += 1
    elif state == "28000":
        time.sleep(0.1)  # turned away while suspended: nothing was sent
    elif state in ended:
        tally["lost"] += 1
        time.sleep(0.1)
    else:
        tally["strange"][f"{state} {text}"] = tally["strange"].get(f"{state} {text}", 0) + 1


class Psycopg:
    def __init__(self):
        self.tally = new_tally("psycopg")
        self.lock = threading.Lock()
        self.pool = ConnectionPool(
            min_size=1, max_size=4, timeout=10, max_lifetime=20, configure=self.login, kwargs={"autocommit": True}, reconnect_timeout=5
        )

    def login(self, _connection):
        with self.lock:
            self.tally["logins"] += 1

    def read(self, c):
        row = c.execute("SELECT id, ssn FROM customers WHERE id = %s", (random.randint(1, 200),), binary=random.random() < 0.5).fetchone()
        self.tally["bare"] += 0 if masked.match(row[1]) else 1

    def toggled(self, c):
        c.execute("SELECT name FROM products WHERE id = %s", (random.randint(1, 50),))

    def insert(self, c):
        with c.transaction():
            c.execute("INSERT INTO soak_log (client) VALUES (%s)", ("psycopg",))
        with self.lock:
            self.tally["inserted"] += 1

    def refusal(self, c):
        with c.transaction():
            c.execute("DELETE FROM orders WHERE id = 1")

    def failure(self, c):
        c.execute("SELECT 1/0")

    def copy(self, c):
        with c.transaction(force_rollback=True), c.cursor() as cur:
            with cur.copy("COPY soak_copy (id, body) FROM STDIN") as copy:
                for n in range(500):
                    copy.write_row((n, "x" * 100))
            with cur.copy("COPY (SELECT id, ssn FROM customers) TO STDOUT") as copy:
                for row in copy.rows():
                    self.tally["bare"] += 0 if masked.match(row[1]) else 1

    def cursor(self, c):
        with c.transaction(), c.cursor(name="some") as cur:
            cur.itersize = 50
            cur.execute("SELECT id, ssn FROM customers")
            for row in cur:
                self.tally["bare"] += 0 if masked.match(row[1]) else 1

    def cancel(self, c):
        timer = threading.Timer(random.random() * 0.2, lambda: c.cancel_safe())
        timer.start()
        try:
            c.execute("SET statement_timeout = '3s'")
            c.execute(endless)
        finally:
            timer.join()
            if not c.closed:
                c.execute("RESET statement_timeout")

    def work(self):
        steps = [self.read, self.read, self.read, self.toggled, self.insert, self.refusal, self.failure, self.copy, self.cursor, self.cancel]
        while not stopping.is_set():
            try:
                with self.pool.connection() as c:
                    random.choice(steps)(c)
                self.tally["answered"] += 1
            except psycopg.Error as error:
                with self.lock:
                    count(self.tally, error.sqlstate, str(error))
            except PoolTimeout:
                pass
            time.sleep(random.random() * 0.06)

    def run(self):
        threads = [threading.Thread(target=self.work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.pool.close()


class Asyncpg:
    def __init__(self):
        self.tally = new_tally("asyncpg")

    async def login(self, _connection):
        self.tally["logins"] += 1

    async def read(self, c):
        row = await c.fetchrow("SELECT id, ssn FROM customers WHERE id = $1", random.randint(1, 200))
        self.tally["bare"] += 0 if masked.match(row["ssn"]) else 1

    async def toggled(self, c):
        await c.fetch("SELECT name FROM products WHERE id = $1", random.randint(1, 50))

    async def insert(self, c):
        async with c.transaction():
            await c.execute("INSERT INTO soak_log (client) VALUES ($1)", "asyncpg")
        self.tally["inserted"] += 1

    async def refusal(self, c):
        await c.execute("DELETE FROM orders WHERE id = $1", 1)

    async def failure(self, c):
        await c.execute("SELECT 1/0")

    async def many(self, c):
        await c.executemany("INSERT INTO soak_copy VALUES ($1, $2)", [(n, "many") for n in range(20)])

    async def copy(self, c):
        await c.copy_records_to_table("soak_copy", records=[(n, "x" * 100) for n in range(300)])

    async def big(self, c):
        rows = await c.fetch("SELECT c.ssn, o.* FROM orders o JOIN customers c ON c.id = o.customer_id")
        self.tally["bare"] += sum(0 if masked.match(row["ssn"]) else 1 for row in rows)

    async def cancel(self, c):
        try:
            await c.fetchval(endless, timeout=0.05 + random.random() * 0.1)
        except asyncio.TimeoutError:
            self.tally["cancelled"] += 1

    async def work(self):
        steps = [self.read, self.read, self.read, self.toggled, self.insert, self.refusal, self.failure, self.many, self.copy, self.big, self.cancel]
        while not stopping.is_set():
            try:
                async with self.pool.acquire() as c:
                    await random.choice(steps)(c)
                self.tally["answered"] += 1
            except asyncpg.PostgresError as error:
                state = getattr(error, "sqlstate", None)
                count(self.tally, None if state and state.startswith("08") else state, str(error))
            except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, asyncio.TimeoutError):
                # Its session was ended while it was idle or at work.
                self.tally["lost"] += 1
            await asyncio.sleep(random.random() * 0.06)

    async def main(self):
        self.pool = await asyncpg.create_pool(
            min_size=1, max_size=4, init=self.login, max_queries=300, max_inactive_connection_lifetime=5, command_timeout=30
        )
        await asyncio.gather(*[self.work() for _ in range(3)])
        await self.pool.close()

    def run(self):
        asyncio.run(self.main())


clients = [Psycopg(), Asyncpg()]
threads = [threading.Thread(target=client.run) for client in clients]
for thread in threads:
    thread.start()
sys.stdin.read()
stopping.set()
for thread in threads:
    thread.join()
print(json.dumps([client.tally for client in clients]))
