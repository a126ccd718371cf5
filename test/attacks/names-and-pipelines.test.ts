/** Ways by which the proxy and the server could come to mean different things by one name or one answer. */

import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { masking, policy, TestChaperone } from '../support/chaperone.ts';
import { installedVersions, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { RawClient, type RawMessage } from '../support/raw-client.ts';

const secret = 'QZJX-VKWB-HGPF-0042';
/** Its columns have no table of origin, so only the analysis can mask it. */
const union = "SELECT ssn FROM customers WHERE id = 1 UNION ALL SELECT '' WHERE false";

const versions = await installedVersions();

describe.each(versions)('PostgreSQL %d', (version) => {
  let postgres: TestPostgres;
  let chaperone: TestChaperone;

  beforeAll(async () => {
    postgres = await startPostgres({ version });
    await postgres.query('CREATE DATABASE attack');
    const admin = new pg.Client(postgres.url('attack'));
    await admin.connect();
    for (const sql of [
      'CREATE TABLE customers (id int PRIMARY KEY, ssn text)',
      `INSERT INTO customers VALUES (1, '${secret}')`,
      'CREATE TABLE plain (note text)',
      "INSERT INTO plain VALUES ('plain')",
      'CREATE TABLE scratch (a text)',
      'CREATE TABLE counted (id int)',
      'CREATE TABLE numbered (id serial)',
      'CREATE SCHEMA apart',
      'CREATE TABLE apart.numbered (id serial)',
      'INSERT INTO counted SELECT generate_series(1, 50)',
      'CREATE TABLE deferred (id int PRIMARY KEY, ssn text, note text)',
      `INSERT INTO deferred VALUES (1, '${secret}', 'x')`,
      `CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'bad row %', NEW; END $$`,
      `CREATE CONSTRAINT TRIGGER telling AFTER UPDATE ON deferred
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tell()`,
    ]) {
      await admin.query(sql);
    }
    await admin.end();
    chaperone = await TestChaperone.start({
      postgres,
      resources: [
        policy('all', [
          {
            name: 'all',
            action: 'Allow',
            classes: ['Read', 'Write', 'Export', 'Schema'],
            resources: ['attack.**'],
          },
        ]),
        policy('counted', [
          {
            name: 'few',
            action: 'Allow',
            classes: ['Write'],
            resources: ['attack.public.counted'],
            limits: { rowsPerStatement: 2 },
          },
        ]),
        masking('ssn', {
          columns: ['attack.public.*.ssn'],
          transform: { type: 'Partial', keepLast: 4 },
        }),
      ],
    });
  }, 60_000);

  afterAll(async () => {
    await chaperone?.stop();
    await postgres?.stop();
  });

  const connect = async () => RawClient.login(await chaperone.connection('attack'));
  const text = (messages: readonly RawMessage[]) =>
    messages.map(({ type, body }) => `${type} ${body.toString('latin1')}`).join('\n');
  const bound = (statement: string, portal = '', values: readonly string[] = []) =>
    write.bind({
      portal,
      statement,
      parameterFormats: [],
      parameters: values.map((value) => Buffer.from(value)),
      resultFormats: [],
    });

  test('sees the value masked when it asks for it plainly', async () => {
    const client = await connect();
    const seen = text(await client.exchange(write.query(union)));
    expect(seen).toContain('***************0042');
    expect(seen).not.toContain(secret);
    client.end();
  });

  test('a Sync among COPY data does not shift the answers', async () => {
    const client = await connect();
    client.socket.write(Buffer.concat([write.query('COPY scratch FROM STDIN'), write.sync]));
    await client.until(({ type }) => type === 'G');
    await client.exchange(write.copyDone);
    const failing = await client.exchange(write.query('SELECT 1 / (id - 1) FROM customers'));
    const seen = text([...failing, ...(await client.exchange(write.query(union)))]);
    expect(seen).toContain('***************0042');
    expect(seen).not.toContain(secret);
    client.end();
  });

  test('a name that is looked up when it is carried out does not lead elsewhere by then', async () => {
    const client = await connect();
    const answers = await client.exchange(
      Buffer.concat([
        write.query('BEGIN'),
        write.parse('late', "SELECT setval(pg_get_serial_sequence('numbered', 'id'), 77)", []),
        bound('late', 'kept'),
        write.sync,
      ]),
      2,
    );
    expect(text(answers)).not.toContain('42501');
    await client.exchange(write.query("SET search_path = 'apart'"));
    const executed = await client.exchange(Buffer.concat([write.execute('kept', 0), write.sync]));
    expect(text(executed)).toContain('0A000');
    await client.exchange(write.query('COMMIT'));
    client.end();
    const { rows } = await postgres.query(
      'SELECT (SELECT last_value FROM apart.numbered_id_seq) AS apart, (SELECT last_value FROM numbered_id_seq) AS own',
      [],
      'attack',
    );
    expect(rows).toEqual([{ apart: '1', own: '1' }]);
  });

  test('FETCH from a portal of EXECUTE is not decided as nothing', async () => {
    const client = await connect();
    await client.exchange(write.query(`BEGIN`));
    await client.exchange(write.query(`PREPARE s1 AS ${union}`));
    await client.exchange(
      Buffer.concat([write.parse('e', 'EXECUTE s1', []), bound('e', 'p'), write.sync]),
    );
    const seen = text(await client.exchange(write.query('FETCH ALL FROM p')));
    expect(seen).not.toContain(secret);
    expect(seen).toContain('C42501');
    client.end();
  });

  test('a portal goes on with what it has begun, whatever its name means by then', async () => {
    const client = await connect();
    const seen: RawMessage[] = [];
    seen.push(...(await client.exchange(write.query('BEGIN'))));
    seen.push(
      ...(await client.exchange(
        write.query('PREPARE s1 AS SELECT ssn FROM customers UNION ALL SELECT ssn FROM customers'),
      )),
    );
    seen.push(
      ...(await client.exchange(
        Buffer.concat([
          write.parse('e', 'EXECUTE s1', []),
          bound('e', 'p'),
          write.execute('p', 1),
          write.sync,
        ]),
      )),
    );
    seen.push(...(await client.exchange(write.query('DEALLOCATE s1'))));
    seen.push(...(await client.exchange(write.query('PREPARE s1 AS SELECT note FROM plain'))));
    seen.push(...(await client.exchange(Buffer.concat([write.execute('p', 0), write.sync]))));
    expect(text(seen)).not.toContain(secret);
    expect(text(seen).match(/\*{15}0042/g)).toHaveLength(2);
    client.end();
  });

  test('EXECUTE of what PREPARE cannot make is refused', async () => {
    const client = await connect();
    await client.exchange(write.query('PREPARE s2 AS SELECT note FROM plain WHERE false'));
    await client.exchange(
      Buffer.concat([
        write.parse('d', 'DEALLOCATE s2', []),
        write.parse('pp', `PREPARE s2 AS ${union}`, []),
        write.sync,
      ]),
    );
    const seen: string[] = [];
    for (const sql of ['EXECUTE d', 'EXECUTE pp', 'EXECUTE s2']) {
      seen.push(text(await client.exchange(write.query(sql))));
    }
    expect(seen[0]).toContain('C42501');
    expect(seen.join('\n')).not.toContain(secret);
    client.end();
  });

  test.each([
    ['SELECT ssn FROM customers WHERE id = 1', []],
    ['SELECT ssn, current_setting($1) FROM customers WHERE id = 1', ['timezone']],
  ])('a prepared statement is masked by all that it may still mean: %s', async (sql, values) => {
    const client = await connect();
    const seen: RawMessage[] = [];
    seen.push(...(await client.exchange(write.query('CREATE TEMP TABLE dummy (a int)'))));
    seen.push(...(await client.exchange(Buffer.concat([write.parse('s', sql, []), write.sync]))));
    seen.push(
      ...(await client.exchange(write.query('CREATE TEMP TABLE customers (id int, ssn text)'))),
    );
    seen.push(
      ...(await client.exchange(
        Buffer.concat([bound('s', '', values), write.execute('', 0), write.sync]),
      )),
    );
    expect(text(seen)).not.toContain(secret);
    client.end();
  });

  test.each([
    ['in parts', ['Execute']],
    ['by FETCH', ['FETCH']],
  ])('a limited write is not carried out %s', async (_how, [how]) => {
    const client = await connect();
    const open = [write.parse('w', 'DELETE FROM counted RETURNING id', []), bound('w', 'p9')];
    if (how === 'Execute') {
      await client.exchange(Buffer.concat([...open, write.execute('p9', 1), write.sync]));
    } else {
      await client.exchange(write.query('BEGIN'));
      await client.exchange(Buffer.concat([...open, write.sync]));
      await client.exchange(write.query('FETCH 1 FROM p9'));
      await client.exchange(write.query('COMMIT'));
    }
    const { rows } = await postgres.query('SELECT count(*)::int AS n FROM counted', [], 'attack');
    expect(rows).toEqual([{ n: 50 }]);
    client.end();
  });

  test.each(['SELECT 1', ''])(
    'a query behind an unsynced pipeline is no way to its error texts: "%s"',
    async (sql) => {
      const client = await connect();
      const seen = text(
        await client.exchange(
          Buffer.concat([
            write.parse('', "UPDATE deferred SET note = 'y'", []),
            bound(''),
            write.execute('', 0),
            write.query(sql),
          ]),
        ),
      );
      expect(seen).not.toContain(secret);
      expect(seen).toContain('C0A000');
      client.end();
    },
  );
});
