/** psycopg 3: another language, libpq beneath, binary formats, pipelines. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type DriverLab, startDriverLab } from '../support/driver-lab.ts';
import { installedVersions } from '../support/postgres.ts';
import { runProgram } from '../support/programs.ts';
import { pythonWithPsycopg } from '../support/python.ts';

const versions = await installedVersions();
const python = await pythonWithPsycopg();

/** Each prints what it saw as JSON, on one line. */
const preamble = `
import asyncio, json, re, sys, psycopg
from psycopg.rows import dict_row
masked = re.compile(r'\\*{7}[0-9]{4}$')
def show(value): print(json.dumps(value, default=str))
def refused(work):
    try: work()
    except psycopg.Error as error: return error.sqlstate
    return None
`;

const programs: Readonly<Record<string, { readonly code: string; readonly shows: unknown }>> = {
  'parameters and results in text and binary': {
    code: `
with psycopg.connect() as c:
    found = []
    for binary in (False, True):
        cur = c.cursor(binary=binary)
        cur.execute("SELECT id, total, placed_at, status FROM orders WHERE id = %s", (7,))
        found.append(list(cur.fetchone()))
        cur.execute("SELECT ssn, profile, birth_date FROM customers WHERE id = %s", (3,))
        row = cur.fetchone()
        found.append([bool(masked.match(row[0])), row[1]['tier'], row[2]])
        cur.execute("SELECT %b::int8, %b::numeric, %t::text[]", (5, 1.5, ['a', 'b']))
        found.append(list(cur.fetchone()))
    show([found[0] == found[3], found[1] == found[4], found[1][0], found[2] == found[5], found[2][0], found[2][2]])
`,
    shows: [true, true, true, true, 5, ['a', 'b']],
  },
  'statements prepared by themselves after some uses': {
    code: `
with psycopg.connect() as c:
    c.prepare_threshold = 2
    rows = [c.execute("SELECT id, ssn FROM customers WHERE id = %s", (n,)).fetchone() for n in range(1, 9)]
    show([[row[0] for row in rows], all(masked.match(row[1]) for row in rows),
      c.execute("SELECT count(*) > 0 FROM products WHERE id = %s", (1,), prepare=True).fetchone()[0]])
`,
    shows: [[1, 2, 3, 4, 5, 6, 7, 8], true, true],
  },
  'transactions, a refusal within, and nested ones': {
    code: `
with psycopg.connect() as c:
    with c.transaction():
        c.execute("INSERT INTO products VALUES (5000, 'kept', 1)")
        def inner():
            with c.transaction():
                c.execute("INSERT INTO products VALUES (5001, 'not kept', 1)")
                c.execute("DELETE FROM orders WHERE id = 1")
        first = refused(inner)
    c.commit()
    def outer():
        with c.transaction():
            c.execute("INSERT INTO products VALUES (5002, 'not kept', 1)")
            c.execute("DELETE FROM orders WHERE id = 1")
    second = refused(outer)
    show([first, second, c.info.transaction_status.name,
      [row[0] for row in c.execute("DELETE FROM products WHERE id >= 5000 RETURNING id")]])
`,
    shows: ['42501', '42501', 'IDLE', [5000]],
  },
  'pipeline mode, and a refusal in the middle of it': {
    code: `
with psycopg.connect(autocommit=True) as c:
    with c.pipeline() as p:
        cursors = [c.execute("SELECT %s::int", (n,)) for n in range(50)]
        p.sync()
        numbers = [cur.fetchone()[0] for cur in cursors]
    def bad():
        with c.pipeline() as p:
            c.execute("INSERT INTO products VALUES (6000, 'not kept', 1)")
            c.execute("DELETE FROM orders WHERE id = 1")
            c.execute("INSERT INTO products VALUES (6001, 'not kept', 1)")
    state = refused(bad)
    with c.pipeline():
        cur = c.cursor()
        cur.executemany("INSERT INTO products VALUES (%s, %s, 1)", [(n, 'many') for n in range(6100, 6200)])
    show([numbers == list(range(50)), state,
      c.execute("SELECT count(*) FROM products WHERE id BETWEEN 6000 AND 6001").fetchone()[0],
      c.execute("DELETE FROM products WHERE id >= 6000").rowcount])
`,
    shows: [true, '42501', 0, 100],
  },
  'cursors of the server': {
    code: `
with psycopg.connect() as c:
    with c.cursor(name='some', scrollable=True) as cur:
        cur.itersize = 6
        cur.execute("SELECT id, ssn FROM customers WHERE id <= %s ORDER BY id", (20,))
        rows = list(cur)
        cur.scroll(2, mode='absolute')
        third = cur.fetchone()[0]
    with c.cursor(name='held', withhold=True) as cur:
        cur.execute("SELECT id FROM products ORDER BY id")
        c.commit()
        held = len(cur.fetchmany(30)) + len(cur.fetchall())
    show([len(rows), all(masked.match(row[1]) for row in rows), third, held])
`,
    shows: [20, true, 3, 50],
  },
  'COPY in both directions, text and binary': {
    code: `
with psycopg.connect() as c:
    with c.cursor() as cur:
        with cur.copy("COPY people (id, name, ssn) FROM STDIN") as copy:
            for n in range(7000, 7100): copy.write_row((n, 'Copied', '123-45-%04d' % n))
        with cur.copy("COPY products (id, name, price) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(['int4', 'text', 'numeric'])
            for n in range(7000, 7100): copy.write_row((n, 'Copied', n))
        with cur.copy("COPY (SELECT id, ssn FROM people WHERE id >= 7000 ORDER BY id) TO STDOUT") as copy:
            people = [row for row in copy.rows()]
        with cur.copy("COPY (SELECT id, name, price FROM products WHERE id >= 7000 ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(['int4', 'text', 'numeric'])
            products = [row for row in copy.rows()]
        c.commit()
        def out():
            with cur.copy("COPY people TO STDOUT (FORMAT binary)") as copy:
                for _ in copy: pass
        state = refused(out)
        c.rollback()
        counts = [cur.execute("DELETE FROM %s WHERE id >= 7000" % name).rowcount for name in ('people', 'products')]
    show([len(people), all(masked.match(row[1]) for row in people), people[0][1],
      len(products), [products[99][0], products[99][1]], state, counts])
`,
    shows: [100, true, '*******7000', 100, [7099, 'Copied'], '42501', [100, 100]],
  },
  'many at once, asynchronously': {
    code: `
async def one(n):
    async with await psycopg.AsyncConnection.connect(autocommit=True, row_factory=dict_row) as c:
        cur = await c.execute("SELECT %s::int AS n, ssn FROM customers WHERE id = 1", (n,))
        return await cur.fetchone()
async def main():
    rows = await asyncio.gather(*[one(n) for n in range(20)])
    show([[row['n'] for row in rows] == list(range(20)), all(masked.match(row['ssn']) for row in rows)])
asyncio.run(main())
`,
    shows: [true, true],
  },
  'notifications of its channel': {
    code: `
with psycopg.connect(autocommit=True) as listener, psycopg.connect(autocommit=True) as other:
    listener.execute("LISTEN jobs")
    other.execute("NOTIFY jobs, 'one'")
    note = next(listener.notifies(timeout=30, stop_after=1))
    show([note.channel, note.payload, refused(lambda: listener.execute("LISTEN secrets"))])
`,
    shows: ['jobs', 'one', '42501'],
  },
  'a cancel request ends its own statement alone': {
    code: `
import threading
with psycopg.connect(autocommit=True) as first, psycopg.connect(autocommit=True) as second, psycopg.connect(autocommit=True) as third:
    ended = {}
    def work(name, c): ended[name] = refused(lambda: c.execute("SELECT count(*) FROM generate_series(1, 10000000000)"))
    threads = [threading.Thread(target=work, args=(name, c)) for name, c in (('first', first), ('second', second))]
    for thread in threads: thread.start()
    active = "SELECT count(*) FROM pg_stat_get_activity(NULL) a WHERE a.state = 'active' AND a.query LIKE '%10000000000)'"
    first.cancel_safe()
    while threads[0].is_alive():
        threads[0].join(0.05)
        if threads[0].is_alive(): first.cancel_safe()
    alone = threads[1].is_alive()
    while threads[1].is_alive():
        second.cancel_safe()
        threads[1].join(0.05)
    show([alone, ended, first.execute("SELECT 1").fetchone()[0], second.execute("SELECT 2").fetchone()[0]])
`,
    shows: [true, { first: '57014', second: '57014' }, 1, 2],
  },
  'TLS: asked for, and begun at once where libpq can': {
    code: `
found = []
for options in ({'sslmode': 'verify-full'}, {'sslmode': 'verify-full', 'sslnegotiation': 'direct'}):
    if 'sslnegotiation' in options and psycopg.pq.version() < 170000:
        found.append(True)
        continue
    with psycopg.connect(**options) as c: found.append(c.pgconn.ssl_in_use)
with psycopg.connect(sslmode='disable') as c: found.append(c.pgconn.ssl_in_use)
show(found)
`,
    shows: [true, true, false],
  },
  'the newest protocol that libpq speaks, with its longer cancel keys': {
    code: `
options = {'max_protocol_version': 'latest'} if psycopg.pq.version() >= 180000 else {}
with psycopg.connect(autocommit=True, **options) as c:
    import threading
    ended = []
    thread = threading.Thread(target=lambda: ended.append(refused(lambda: c.execute("SELECT count(*) FROM generate_series(1, 10000000000)"))))
    thread.start()
    while thread.is_alive():
        c.cancel_safe()
        thread.join(0.05)
    show([ended, c.execute("SELECT 1").fetchone()[0]])
`,
    shows: [['57014'], 1],
  },
};

const maybe = python === undefined ? describe.skip : describe;

maybe.each(versions)('psycopg, PostgreSQL %d', (version) => {
  let lab: DriverLab;
  let env: Record<string, string>;
  beforeAll(async () => {
    lab = await startDriverLab(version);
    const { host, port, user, password, database } = await lab.chaperone.connection('shop');
    const ca = join(lab.chaperone.directory, 'ca.pem');
    writeFileSync(ca, lab.ca);
    env = {
      PGHOST: host,
      PGPORT: String(port),
      PGUSER: user,
      PGPASSWORD: password,
      PGDATABASE: database,
      PGSSLROOTCERT: ca,
    };
  });
  afterAll(() => lab?.stop());

  test.each(Object.entries(programs))('%s', async (_name, { code, shows }) => {
    const { out, err } = await runProgram(python!, ['-c', preamble + code], { env });
    expect(err).toBe('');
    expect(JSON.parse(out)).toEqual(shows);
  });
});
