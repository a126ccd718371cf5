"""SQLAlchemy over psycopg and over asyncpg: engines with pools, reflection, sessions of the ORM."""
import asyncio
import os
import re
import ssl
import threading
import time

import psycopg
from serve import serve, step
from sqlalchemy import JSON, Integer, MetaData, Numeric, Text, create_engine, delete, event, exc, func, inspect, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

masked = re.compile(r"\*{7}[0-9]{4}$")
endless = "SELECT count(*) FROM generate_series(1, 10000000000)"
env = os.environ
address = f"{env['PGUSER']}:{env['PGPASSWORD']}@{env['PGHOST']}:{env['PGPORT']}/{env['PGDATABASE']}"

engine = create_engine(f"postgresql+psycopg://{address}", pool_pre_ping=True, pool_size=3)
# Values stand in the text.
reflecting = create_engine(f"postgresql+psycopg://{address}", connect_args={"cursor_factory": psycopg.ClientCursor})
async_engine = create_async_engine(
    f"postgresql+asyncpg://{address}",
    pool_pre_ping=True,
    connect_args={"ssl": ssl.create_default_context(cafile=env["PGSSLROOTCERT"])},
)


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    ssn: Mapped[str] = mapped_column(Text)
    profile: Mapped[dict] = mapped_column(JSONB)


class Product(Base):
    __tablename__ = "products"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    price: Mapped[float] = mapped_column(Numeric)


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    tags: Mapped[dict] = mapped_column(JSONB().with_variant(JSON(), "sqlite"))


def sqlstate(error):
    return getattr(error.orig, "sqlstate", None)


def refused(work):
    try:
        work()
    except exc.DBAPIError as error:
        return sqlstate(error)


@step
def connects():
    with engine.connect() as c:
        return [c.scalar(select(func.count()).select_from(Product)), c.scalar(text("SELECT :n + 1"), {"n": 1})]


@step
def reflects():
    found = inspect(engine)
    metadata = MetaData()
    metadata.reflect(reflecting)
    return [
        sorted(found.get_table_names())[:3],
        found.get_view_names(),
        found.get_materialized_view_names(),
        [column["name"] for column in found.get_columns("customers")][:4],
        found.get_pk_constraint("order_items")["constrained_columns"],
        sorted(key["referred_table"] for key in found.get_foreign_keys("order_items")),
        [index["name"] for index in found.get_indexes("orders")],
        len(found.get_check_constraints("order_items")),
        found.get_unique_constraints("orders"),
        found.get_table_comment("orders")["text"],
        [enum["name"] for enum in found.get_enums()],
        found.get_schema_names(),
        found.has_table("customers"),
        sorted(found.get_sequence_names()),
        "SELECT" in found.get_view_definition("vip"),
        found.get_domains(),
        sorted(metadata.tables) == sorted(found.get_table_names()),
    ]


@step
def reflects_with_bound_values():
    metadata = MetaData()
    metadata.reflect(engine)
    with engine.connect() as c:
        return [sorted(metadata.tables) == sorted(inspect(engine).get_table_names()), c.scalar(text("SELECT 1"))]


@step
def sessions():
    with Session(engine) as s:
        some = s.scalars(select(Customer).where(Customer.id.in_([1, 2, 3])).order_by(Customer.id)).all()
        shown = [all(masked.match(c.ssn) for c in some), some[0].profile["tier"]]
        s.add_all([Note(body=f"note {n}", tags={"n": n}) for n in range(250)])
        s.flush()
        ids = s.scalars(select(Note.id)).all()
        s.execute(text("SAVEPOINT before"))
        s.rollback()
        s.add(Note(body="kept", tags={}))
        with s.begin_nested():
            s.add(Note(body="kept, too", tags={}))
        s.commit()
        kept = s.execute(delete(Note).returning(Note.body)).scalars().all()
        s.commit()
    return [*shown, len(ids), sorted(kept)]


@step
def many():
    with engine.begin() as c:
        result = c.execute(
            Product.__table__.insert().returning(Product.id), [{"id": 9000 + n, "name": "many", "price": 1} for n in range(1500)]
        )
        inserted = len(result.all())
        changed = c.execute(
            Product.__table__.update().where(Product.id >= 9000).values(name="other")
        ).rowcount
        c.execute(text("UPDATE products SET price = :price WHERE id = :id"), [{"id": 9000 + n, "price": n} for n in range(20)])
        return [inserted, changed, c.execute(delete(Product).where(Product.id >= 9000)).rowcount]


@step
def cursors_of_the_server():
    with engine.connect().execution_options(stream_results=True, max_row_buffer=5) as c:
        rows = list(c.execute(select(Customer.id, Customer.ssn).order_by(Customer.id)))
        parts = [len(part) for part in c.execute(select(Customer.ssn)).partitions(8)]
    return [len(rows), all(masked.match(row.ssn) for row in rows), parts]


@step
def refusals():
    with engine.connect() as c:
        first = refused(lambda: c.execute(text("DELETE FROM orders WHERE id = 1")))
        again = refused(lambda: c.execute(text("SELECT 1")))
        c.rollback()
        after = c.scalar(text("SELECT 1"))
    with Session(engine) as s:
        s.add(Note(body="not kept", tags={}))
        second = refused(lambda: (s.flush(), s.execute(text("DELETE FROM orders WHERE id = 1"))))
        s.rollback()
        return [first, again, after, second, s.scalar(select(func.count()).select_from(Note))]


@step
def isolation_and_autocommit():
    with engine.connect().execution_options(isolation_level="SERIALIZABLE") as c:
        found = [c.scalar(text("SHOW transaction_isolation")), c.get_isolation_level()]
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
        found.append(refused(lambda: c.execute(text("DELETE FROM orders WHERE id = 1"))))
        found.append(c.scalar(text("SELECT 1")))
    with engine.connect().execution_options(postgresql_readonly=True, postgresql_deferrable=True) as c:
        found.append(c.scalar(text("SHOW transaction_read_only")))
    return found


@step
def cancelled():
    with engine.connect() as c:
        driver = c.connection.driver_connection
        ended = []
        thread = threading.Thread(target=lambda: ended.append(refused(lambda: c.execute(text(endless)))))
        thread.start()
        while thread.is_alive():
            driver.cancel_safe()
            thread.join(0.05)
        c.rollback()
        c.execute(text("SET LOCAL statement_timeout = '200ms'"))
        ended.append(refused(lambda: c.execute(text(endless))))
        c.rollback()
        return [ended, c.scalar(text("SELECT 1"))]


async def with_asyncpg():
    async with AsyncSession(async_engine) as s:
        some = (await s.scalars(select(Customer).order_by(Customer.id).limit(5))).all()
        found = [all(masked.match(c.ssn) for c in some), some[0].profile["tier"]]
        s.add_all([Note(body=f"note {n}", tags={"n": n}) for n in range(50)])
        await s.commit()
        found.append((await s.execute(delete(Note))).rowcount)
        await s.commit()
        try:
            await s.execute(text("DELETE FROM orders WHERE id = :id"), {"id": 1})
        except exc.DBAPIError as error:
            found.append(sqlstate(error))
        await s.rollback()
        streamed = [row async for row in await s.stream(select(Customer.ssn).order_by(Customer.id))]
        found.append([len(streamed), all(masked.match(row.ssn) for row in streamed)])
    async with async_engine.connect() as c:
        tables = await c.run_sync(lambda sync: inspect(sync).get_table_names())
        columns = await c.run_sync(lambda sync: inspect(sync).get_columns("residents"))
        metadata = MetaData()
        await c.run_sync(metadata.reflect)
        row = (await c.execute(text("SELECT mood, home FROM residents"))).one()
        found.append([len(tables) > 5 and sorted(metadata.tables) == sorted(tables), [str(column["type"]) for column in columns][:2], row.mood, list(row.home)])
        task = asyncio.create_task(c.execute(text(endless)))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with async_engine.connect() as c:
        found.append(await c.scalar(text("SELECT 1")))
    await async_engine.dispose()
    return found


@step
def over_asyncpg():
    return asyncio.run(with_asyncpg())


@step
def while_suspended():
    try:
        with engine.connect() as c:
            return c.scalar(text("SELECT 1"))
    except exc.OperationalError as error:
        return "suspended" in str(error)


@step
def again():
    with engine.connect() as c:
        return c.scalar(text("SELECT 1"))


serve()
