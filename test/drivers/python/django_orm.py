"""Django's ORM: transactions, JSON, cursors of the server, introspection, and migrations of a schema."""
import io
import os
import re

import django
from django.conf import settings
from serve import serve, step

env = os.environ
masked = re.compile(r"\*{7}[0-9]{4}$")
endless = "SELECT count(*) FROM generate_series(1, 10000000000)"
database = {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": env["PGHOST"],
    "PORT": env["PGPORT"],
    "USER": env["PGUSER"],
    "PASSWORD": env["PGPASSWORD"],
    "NAME": env["PGDATABASE"],
    "CONN_HEALTH_CHECKS": True,
    "CONN_MAX_AGE": None,
    "OPTIONS": {"sslmode": "verify-full", "sslrootcert": env["PGSSLROOTCERT"]},
}
pooled = {
    **database,
    "CONN_MAX_AGE": 0,
    "OPTIONS": {**database["OPTIONS"], "pool": {"min_size": 1, "max_size": 3, "timeout": 2}, "server_side_binding": True},
}
in_schema = {**database, "OPTIONS": {**database["OPTIONS"], "options": "-c search_path=app"}}
settings.configure(
    DATABASES={"default": database, "pooled": pooled, "app": in_schema},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"],
    USE_TZ=True,
    SECRET_KEY="for tests",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import DatabaseError, connections, models, transaction  # noqa: E402
from django.db.models import Count, F  # noqa: E402


class Customer(models.Model):
    id = models.IntegerField(primary_key=True)
    name = models.TextField()
    ssn = models.TextField()
    profile = models.JSONField()

    class Meta:
        managed = False
        db_table = "customers"
        app_label = "shop"


class Order(models.Model):
    id = models.BigIntegerField(primary_key=True)
    customer = models.ForeignKey(Customer, models.CASCADE)
    status = models.TextField()
    total = models.DecimalField(max_digits=12, decimal_places=2)

    class Meta:
        managed = False
        db_table = "orders"
        app_label = "shop"


class Note(models.Model):
    id = models.AutoField(primary_key=True)
    body = models.TextField()
    tags = models.JSONField(default=dict)

    class Meta:
        managed = False
        db_table = "notes"
        app_label = "shop"


def refused(work):
    try:
        work()
    except DatabaseError as error:
        return error.__cause__.sqlstate


def both(work):
    """With a connection of its own, and with Django's pool and binding by the server."""
    return [work(alias) for alias in ("default", "pooled")]


@step
def reads():
    def work(alias):
        some = list(Customer.objects.using(alias).filter(id__lte=5).order_by("id"))
        with_orders = Order.objects.using(alias).select_related("customer").get(id=1)
        grouped = Order.objects.using(alias).values("status").annotate(n=Count("id")).order_by("status")
        return [
            len(some),
            all(masked.match(c.ssn) for c in some),
            some[0].profile["tier"],
            bool(masked.match(with_orders.customer.ssn)),
            [row["n"] for row in grouped],
            Customer.objects.using(alias).filter(profile__tier="gold").count(),
            Order.objects.using(alias).filter(id__in=[1, 2, 3]).exists(),
        ]

    return both(work)


@step
def writes():
    def work(alias):
        notes = Note.objects.using(alias)
        notes.bulk_create([Note(body=f"note {n}", tags={"n": n}) for n in range(300)], batch_size=100)
        one = notes.create(body="one", tags={"of": ["many"]})
        again, created = notes.get_or_create(body="one")
        changed = notes.filter(tags__n__lt=10).update(body=F("body"))
        notes.bulk_update([Note(id=one.id, body="two", tags={})], ["body", "tags"])
        found = [one.id == again.id, created, changed, notes.get(id=one.id).body]
        return [*found, notes.all().delete()[0]]

    return both(work)


@step
def transactions():
    def work(alias):
        notes = Note.objects.using(alias)
        with transaction.atomic(using=alias):
            notes.create(body="kept")

            def inner():
                with transaction.atomic(using=alias):
                    notes.create(body="not kept")
                    Order.objects.using(alias).filter(id=1).delete()

            first = refused(inner)
        def outer():
            with transaction.atomic(using=alias):
                notes.create(body="not kept")
                Order.objects.using(alias).filter(id=1)._raw_delete(alias)

        second = refused(outer)
        third = refused(lambda: Order.objects.using(alias).filter(id=1)._raw_delete(alias))
        bodies = list(notes.values_list("body", flat=True))
        notes.all().delete()
        return [first, second, third, bodies]

    return both(work)


@step
def cursors_of_the_server():
    def work(alias):
        with transaction.atomic(using=alias):
            rows = list(Customer.objects.using(alias).order_by("id").iterator(chunk_size=6))
        held = len(list(Order.objects.using(alias).iterator(chunk_size=50)))
        return [len(rows), all(masked.match(c.ssn) for c in rows), held]

    return both(work)


@step
def introspects():
    def work(alias):
        connection = connections[alias]
        with connection.cursor() as cursor:
            asked = connection.introspection
            return [
                "customers" in asked.table_names(cursor),
                len(asked.get_table_list(cursor)) > 8,
                [c.name for c in asked.get_table_description(cursor, "orders")][:3],
                sorted(asked.get_relations(cursor, "order_items")),
                asked.get_primary_key_columns(cursor, "order_items"),
                sorted(asked.get_constraints(cursor, "order_items"))[:2],
                len(asked.get_sequences(cursor, "notes")),
            ]

    out = io.StringIO()
    call_command("inspectdb", "customers", "orders", "residents", stdout=out)
    return [*both(work), out.getvalue().count("class "), "Unable to inspect" in out.getvalue()]


@step
def locks_and_explains():
    def work(alias):
        with transaction.atomic(using=alias):
            locked = list(Order.objects.using(alias).select_for_update(skip_locked=True).filter(id__lt=4).values_list("id", flat=True))
        return [sorted(locked), "orders" in Order.objects.using(alias).filter(id=1).explain()]

    return both(work)


@step
def cancelled():
    connection = connections["default"]

    def work():
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '200ms'")
            try:
                cursor.execute(endless)
            finally:
                cursor.execute("RESET statement_timeout")

    state = refused(work)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return [state, cursor.fetchone()[0]]


@step
def migrates():
    out = io.StringIO()
    call_command("migrate", database="app", stdout=out, verbosity=1)
    tables = sorted(connections["app"].introspection.table_names())
    from django.contrib.auth.models import User

    user = User.objects.db_manager("app").create_user("ada", "ada@example.com", "secret")
    call_command("migrate", "sessions", "zero", database="app", stdout=out)
    return [len(tables), "auth_user" in tables, user.pk]


@step
def while_suspended():
    def work(alias):
        try:
            return Note.objects.using(alias).exists()
        except DatabaseError as error:
            return type(error).__name__

    return both(work)


@step
def again():
    for connection in connections.all():
        connection.close()
    return both(lambda alias: Note.objects.using(alias).exists())


serve()
