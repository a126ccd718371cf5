/**
 * Around the statements: cancel keys (§5), secrets in whatever we write or show (§21), what the record and its
 * replay make of hostile text (§25), and policies and patterns made to be slow (§26).
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { replaySession } from '@chaperone/cli/commands/replay.ts';
import { locateRecord, RecordClient } from '@chaperone/cli/record-client.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  Answer,
  Attacker,
  AttackLab,
  canaries,
  labMasks,
  labPolicy,
  leaks,
} from '../support/attack-lab.ts';
import { identity, policy } from '../support/chaperone.ts';
import { RawClient } from '../support/raw-client.ts';

const logged = new PassThrough();
const logChunks: string[] = [];
logged.setEncoding('utf8').on('data', (chunk: string) => logChunks.push(chunk));

/** Everything that stands in a directory, but the resources that the administrator wrote there. */
function* filesBelow(directory: string): Generator<[string, Buffer]> {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (statSync(path).isDirectory()) yield* filesBelow(path);
    else yield [path, readFileSync(path)];
  }
}

const backendPassword = 'PASSWORD-canary-of-the-backend-9f31';
const full = policy('full', [], { session: { recording: 'Full' } });

describe('around the statements', () => {
  let lab: AttackLab;
  beforeAll(async () => {
    const clock = systemClock();
    lab = await AttackLab.start({
      setup: [`CREATE ROLE lent SUPERUSER LOGIN PASSWORD '${backendPassword}'`],
      login: { username: 'lent', password: backendPassword },
      resources: [labPolicy(), full, ...labMasks, identity('other')],
      logger: createLogger({ program: 'test', level: 'debug', clock, destination: logged }),
    });
  }, 60_000);
  afterEach(() => lab.disconnect());
  afterAll(() => lab?.stop());

  async function recorded(): Promise<void> {
    await new Promise<void>((resolve, reject) =>
      lab.chaperone.standalone.recorder.whenDurable('Collector', (failure) =>
        failure ? reject(failure) : resolve(),
      ),
    );
  }
  async function replayed(): Promise<string[]> {
    await recorded();
    const client = new RecordClient(locateRecord({ directory: lab.chaperone.directory }));
    const all: string[] = [];
    for await (const session of client.sessions({}, 1000)) {
      const out = new PassThrough();
      const written = text(out);
      const options = { directory: lab.chaperone.directory, output: 'table', rows: 1000 } as const;
      await replaySession(client, session.id, options as never, out as never);
      out.end();
      all.push(await written);
    }
    client.close();
    return all;
  }

  test('no secret and no protected value in files, log, replay, API or metrics (§21)', async () => {
    const ticket = await lab.chaperone.ticket();
    const attacker = new Attacker(
      await RawClient.login({
        host: lab.chaperone.host,
        port: lab.chaperone.port,
        user: 'nightly-report',
        database: 'shop',
        password: ticket,
      }),
    );
    for (const sql of [
      'SELECT * FROM customers WHERE id > 9000',
      `SELECT ssn FROM customers WHERE ssn = '${canaries.ssn}'`,
      `SELECT name FROM customers WHERE email = $$${canaries.email}$$ /* ${canaries.email} */`,
      `INSERT INTO plain VALUES (1, '${canaries.ssn}')`,
      `SELECT 1 WHERE U&'${canaries.ssn}' = E'${canaries.ssn}' -- ${canaries.ssn}`,
      `SELECT 'unterminated ${canaries.ssn}`,
      'SELECT ssn::int FROM customers',
      'COPY customers TO STDOUT',
      `PREPARE p (text) AS SELECT 1 WHERE $1 = '${canaries.ssn}'`,
      `EXECUTE p('${canaries.ssn}')`,
      `DELETE FROM orders WHERE status = '${canaries.ssn}'`,
    ]) {
      await attacker.query(sql);
    }
    await attacker.extended('SELECT id FROM customers WHERE ssn = $1', {
      parameters: [canaries.ssn],
    });
    await attacker.extended('SELECT * FROM customers', { resultFormats: [1], describe: true });
    expect(attacker.seen.includes(backendPassword)).toBe(false);
    expect(attacker.seen.includes(ticket)).toBe(false);
    attacker.end();
    await attacker.rest();

    const wrongLogins = [
      { user: 'nightly-report', password: `wrong-${ticket}` },
      { user: 'other', password: ticket },
      { user: 'postgres', password: backendPassword },
      { user: 'lent', password: backendPassword },
    ];
    const refusals: string[] = [];
    for (const login of wrongLogins) {
      await RawClient.login({
        host: lab.chaperone.host,
        port: lab.chaperone.port,
        database: 'shop',
        ...login,
      }).then(
        () => refusals.push('let in'),
        (error: Error) => refusals.push(error.message),
      );
    }
    expect(new Set(refusals).size).toBe(1);
    expect(refusals[0]).not.toMatch(/let in|lent|PASSWORD/);

    const { opsUrl, collectorUrl } = lab.chaperone.standalone;
    const metrics = await (await fetch(`${opsUrl}/metrics`)).text();
    expect(metrics).toContain('chaperone_');
    expect((await fetch(`${collectorUrl}/v1/events`)).status).toBe(401);

    const replays = await replayed();
    expect(replays.join('').length).toBeGreaterThan(1000);
    const shown: [string, Buffer][] = [
      ['log', Buffer.from(logChunks.join(''))],
      ['metrics', Buffer.from(metrics)],
      ['replay', Buffer.from(replays.join('\n'))],
      ...filesBelow(join(lab.chaperone.directory, '.chaperone')),
    ];
    expect(logChunks.length).toBeGreaterThan(0);
    const found: string[] = [];
    for (const [where, bytes] of shown) {
      for (const one of [backendPassword, ticket])
        if (bytes.includes(one)) found.push(`${where}: a secret`);
      found.push(...leaks(bytes).map((part) => `${where}: ${part}`));
    }
    expect(found).toEqual([]);
  }, 60_000);

  test('what was masked for the client is masked in a recorded result', async () => {
    const attacker = await lab.attacker();
    await attacker.query('SELECT ssn, email, notes, profile FROM customers WHERE id > 9000');
    await attacker.extended('SELECT ssn, email FROM customers WHERE id > 9000', {
      resultFormats: [1],
    });
    await attacker.query('COPY (SELECT ssn, notes FROM customers WHERE id > 9000) TO STDOUT');
    await attacker.query('SELECT ssn::int FROM customers');
    attacker.end();
    await attacker.rest();
    const [latest] = await replayed();
    expect(latest).toContain('***************0042');
    expect(leaks(latest!)).toEqual([]);
  });

  test('newlines, escapes and look-alikes in a statement stay on their line in a replay (§25)', async () => {
    const hostile = [
      'SELECT 1 AS "\u001b[2J\u001b[1;31mroot"',
      'SELECT 1 AS "a\n+00:00.000 Allow by nobody"',
      'SELECT 1 AS "\r\u0007\u009b31m"',
      'SELECT 1 AS "\u202e\u2066evil\u2069"',
      'SELECT 1 AS "a\u2028b\u0085c"',
      'SELECT 1 AS "{""type"":""SessionClosed""}|=\\"',
      'DELETE FROM "orders\n\u001b]0;title\u0007"',
      "SET application_name = E'\u001b[31m\n'",
    ];
    const attacker = await lab.attacker({ application_name: '\u001b[31mevil\nname' });
    for (const sql of hostile) {
      await attacker.query(sql);
      await attacker.extended(sql);
    }
    attacker.end();
    await attacker.rest();
    for (const one of await replayed()) {
      expect(one.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      expect(one.split('\n').filter((line) => /^\+00:00\.000 Allow by nobody/.test(line))).toEqual(
        [],
      );
    }
    for (const line of logChunks.join('').split('\n').filter(Boolean)) JSON.parse(line);
  });

  test('a cancel request with another key does nothing, with the own one it cancels (§5)', async () => {
    const loginRaw = async (name: string): Promise<{ attacker: Attacker; key: Buffer }> => {
      const connection = await lab.chaperone.connection('shop', name);
      const socket = connect({ host: connection.host, port: connection.port });
      const chunks: Buffer[] = [];
      let wake = (): void => {};
      socket.on('data', (chunk) => {
        chunks.push(chunk);
        wake();
      });
      socket.write(
        write.startupMessage(0, [
          ['user', name],
          ['database', 'shop'],
        ]),
      );
      socket.write(write.passwordMessage(connection.password));
      for (;;) {
        const at = Buffer.concat(chunks);
        const found = at.indexOf(Buffer.from([0x4b, 0, 0, 0, 12]));
        if (found >= 0 && at.includes(Buffer.from([0x5a, 0, 0, 0, 5, 0x49]))) {
          const key = at.subarray(found + 5, found + 13);
          socket.removeAllListeners('data');
          const Raw = RawClient as unknown as new (socket: unknown) => RawClient;
          return { attacker: new Attacker(new Raw(socket)), key };
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    const cancel = async (pid: number, secret: Buffer): Promise<void> => {
      const socket = connect({ host: lab.chaperone.host, port: lab.chaperone.port });
      socket.on('error', () => {});
      socket.end(write.cancelRequest(pid, secret));
      await new Promise((resolve) => socket.resume().once('close', resolve));
    };
    const victim = await loginRaw('nightly-report');
    const thief = await loginRaw('other');
    const [pid, secret] = [victim.key.readInt32BE(0), victim.key.subarray(4)];
    victim.attacker.client.socket.write(write.query('SELECT pg_sleep(600)'));
    await until(async () => {
      const [row] = await lab.behind(
        "SELECT count(*)::int FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND state = 'active' AND usename = 'lent'",
      );
      return row?.[0] === 1;
    });
    const [backend] = await lab.behind(
      "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND usename = 'lent'",
    );
    const flipped = Buffer.from(secret);
    flipped[0] = flipped[0]! ^ 1;
    await cancel(pid, flipped);
    await cancel(pid ^ 1, secret);
    await cancel(backend![0] as number, secret);
    await cancel(backend![0] as number, Buffer.alloc(4));
    await cancel(thief.key.readInt32BE(0), thief.key.subarray(4));
    await cancel(thief.key.readInt32BE(0), secret);
    await cancel(pid, thief.key.subarray(4));
    const [still] = await lab.behind(
      "SELECT count(*)::int FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND state = 'active' AND usename = 'lent'",
    );
    expect(still).toEqual([1]);
    await cancel(pid, secret);
    const answer = new Answer(await victim.attacker.client.until(({ type }) => type === 'Z'));
    expect([answer.sqlstate, answer.status]).toEqual(['57014', 'I']);
    expect((await victim.attacker.query('SELECT 7')).rows).toEqual([['7']]);
    victim.attacker.end();
    await victim.attacker.rest();
    const again = await lab.attacker();
    await cancel(pid, secret); // the session is over, its key too
    expect((await again.query('SELECT 7')).rows).toEqual([['7']]);
    thief.attacker.end();
  }, 30_000);

  test('a policy of ten thousand rules, and patterns made to be slow, decide in time (§26)', async () => {
    const many = Array.from({ length: 160 }, (_, which) =>
      policy(
        `many-${which}`,
        Array.from({ length: 64 }, (_unused, index) => ({
          name: `r${index}`,
          action: 'Deny',
          classes: ['Read'],
          resources: [
            `shop.*a*a*a*a*a*a*b.t${which}_${index}*a*a*a*a*c`,
            'shop.*.*a*a*a*a*a*a*a*b',
          ],
        })),
      ),
    );
    const { control, store } = lab.chaperone.standalone;
    const object = await store.get('MachineIdentity', 'payments', 'nightly-report');
    const rules = (): number => {
      const targets = control.bundle(object!.metadata.uid)?.targets ?? [];
      return targets.reduce((sum, target) => sum + target.rules.length, 0);
    };
    // A file is read up to 1 MiB.
    for (let at = 0; at < many.length; at += 40) {
      lab.chaperone.write(many.slice(at, at + 40), `many-${at}.yaml`);
    }
    await until(async () => rules() > 10_000);
    const attacker = await lab.attacker();
    for (let index = 0; index < 20; index += 1) {
      const answer = await attacker.query(
        `SELECT ${index} FROM "${'a'.repeat(60)}"."${'a'.repeat(60)}"`,
      );
      expect(answer.errors.length).toBe(1);
    }
    expect((await attacker.extended('SELECT ssn FROM customers WHERE id = 9001')).rows).toEqual([
      ['***************0042'],
    ]);
  }, 60_000);
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(setImmediate);
}
