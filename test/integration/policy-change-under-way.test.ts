/** What a change of the policy does to what is under way: results that flow, notifications, calls, unsent statements. */
import { once } from 'node:events';
import { Gatekeeper } from '@chaperone/sidecar/gatekeeper.ts';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Answer, type Attacker, AttackLab, extended } from '../support/attack-lab.ts';
import { masking, policy, type Resource } from '../support/chaperone.ts';

const data: Resource = {
  name: 'data',
  action: 'Allow',
  classes: ['Read', 'Write', 'Export'],
  resources: ['shop.public.**'],
};
const listen: Resource = {
  name: 'listen',
  action: 'Allow',
  verbs: ['Listen'],
  resources: ['shop.jobs'],
};
const call: Resource = {
  name: 'call',
  action: 'Allow',
  verbs: ['FunctionCall'],
  resources: ['shop.**'],
};
const ssn = (transform: Resource) =>
  masking('ssn', { columns: ['shop.public.people.ssn'], transform });
const email = masking('email', {
  columns: ['shop.public.people.email'],
  transform: { type: 'Redact' },
});
const partial = ssn({ type: 'Partial', keepLast: 4 });
const all = policy('p', [data, listen, call]);
const plain = [all];
const masked = [all, partial];
/** More than stands in buffers between the server and a client that does not read. */
const stream =
  "SELECT ssn, repeat('x', 1000) FROM people, generate_series(1, 30000) WHERE people.id = 1";
const pgSleep = 2626;

let lab: AttackLab;
let applied: readonly Resource[] = plain;
beforeAll(async () => {
  lab = await AttackLab.start({ resources: applied, setup: ['CREATE TABLE sink (id int)'] });
}, 120_000);
afterEach(async () => {
  jest.restoreAllMocks();
  lab.disconnect();
});
afterAll(() => lab?.stop());

/** Resolves when it is; what is in force already changes nothing. */
async function inForce(resources: readonly Resource[]): Promise<void> {
  if (applied === resources) return;
  applied = resources;
  await lab.applyPolicy(resources);
}

describe('a result that flows', () => {
  /** Its end, where the policy changes while its client does not read. */
  async function endOf(
    text: string,
    before: readonly Resource[],
    after: readonly Resource[],
  ): Promise<string> {
    await inForce(before);
    const { client } = await lab.attacker();
    client.socket.write(write.query(text));
    await once(client.socket, 'data');
    client.socket.pause();
    await inForce(after);
    client.socket.resume();
    const seen = await client.until(({ type }) => type === 'Z');
    return seen.at(-2)!.body.toString('latin1');
  }

  test.each([
    ['a new mask', stream, plain, masked],
    ['a new mask, COPY', `COPY (${stream}) TO STDOUT`, plain, masked],
    ['another transformation', stream, masked, [all, ssn({ type: 'Redact' })]],
  ])('is cut when it would be masked otherwise: %s', async (_name, text, before, after) => {
    expect(await endOf(text, before, after)).toMatch(/42501.*MaskingRule data\/ssn came into/);
  });

  test('goes on where its masks stay as they are', async () => {
    const other = policy('p', [data, listen]);
    expect(await endOf(stream, masked, [other, partial, email])).toBe('SELECT 30000\0');
  });
});

test('what is said on a channel is heard as long as a rule allows to listen', async () => {
  await inForce(plain);
  const attacker = await lab.attacker();
  await attacker.query('LISTEN jobs');
  const heard = async (payload: string): Promise<boolean> => {
    await lab.behind('SELECT pg_notify($1, $2)', ['jobs', payload]);
    // The server tells what it has heard before it is ready again.
    const answers = [await attacker.query('SELECT 1'), await attacker.query('SELECT 1')];
    return answers.some(({ bytes }) => bytes.includes(payload));
  };
  expect(await heard('while it is allowed')).toBe(true);
  await inForce([policy('p', [data])]);
  expect(await heard('when it is not')).toBe(false);
  await inForce(plain);
  expect(await heard('when it is again')).toBe(true);
});

test('a call by number that is not allowed any more ends with its session', async () => {
  await inForce(plain);
  const { client } = await lab.attacker();
  const argument = Buffer.from('3600');
  client.socket.write(
    write.functionCall({
      functionOid: pgSleep,
      argumentFormats: [],
      arguments: [argument],
      resultFormat: 0,
    }),
  );
  const calls = async (): Promise<boolean> =>
    (
      await lab.behind(
        "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND usename IS NOT NULL",
      )
    ).length > 0;
  while (!(await calls()));
  await inForce([policy('p', [data])]);
  const seen = await client.until(() => false);
  expect(seen.map(({ body }) => body.toString('latin1')).join()).toMatch(/57P01/);
  while (await calls());
});

describe('a statement that waits for its record does not go out once it is not allowed', () => {
  const insert = 'INSERT INTO sink VALUES (1)';
  const onlyReads = [policy('p', [{ ...data, classes: ['Read'] }])];

  /** Sends it, and changes the policy before it is recorded. */
  async function withdrawn(bytes: Buffer): Promise<Attacker> {
    await inForce(plain);
    const attacker = await lab.attacker();
    const durable: (() => void)[] = [];
    const asked = new Promise<void>((resolve) => {
      jest.spyOn(Gatekeeper.prototype, 'whenDurable').mockImplementation((_level, callback) => {
        durable.push(() => callback());
        resolve();
      });
    });
    attacker.client.socket.write(bytes);
    await asked;
    await inForce(onlyReads);
    jest.restoreAllMocks();
    for (const tell of durable) tell();
    return attacker;
  }

  test('a simple Query fails, and the session goes on', async () => {
    const attacker = await withdrawn(write.query(insert));
    const { sqlstate, status } = new Answer(
      await attacker.client.until(({ type }) => type === 'Z'),
    );
    expect([sqlstate, status]).toEqual(['42501', 'I']);
    expect((await attacker.query('SELECT count(*)::int FROM sink')).rows).toEqual([['0']]);
  });

  test('a pipeline ends with its session', async () => {
    const attacker = await withdrawn(Buffer.concat([...extended(insert), write.sync]));
    expect((await attacker.rest()).sqlstate).toBe('57P01');
    expect(await lab.behind('SELECT count(*)::int FROM sink')).toEqual([[0]]);
  });
});
