/** Which policy decided a statement can be read in the record, by the digest that its event names. */
import { createHash } from 'node:crypto';
import { Writable } from 'node:stream';
import { showPolicy } from '@chaperone/cli/commands/policy-show.ts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { masking, policy, TestChaperone } from '../support/chaperone.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { eventsOf, withRecord } from '../support/record.ts';
import { loadShop } from '../support/shop.ts';
import { SidecarLab, startReachablePostgres } from '../support/sidecar-lab.ts';

const rule = (name: string) => ({
  name,
  action: 'Allow',
  classes: ['Read'],
  resources: ['shop.public.**'],
});
/** Keyed: its key must not be in the record. */
const ssn = masking('ssn', { columns: ['shop.public.*.ssn'], transform: { type: 'Hash' } });

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startReachablePostgres();
  await loadShop(postgres, { orders: 1 });
});
afterAll(() => postgres?.stop());

interface SnapshotText {
  readonly identity: { readonly name: string };
  readonly targets: readonly {
    readonly rules: readonly { readonly ref: { readonly rule: string } }[];
    readonly masks: readonly Record<string, unknown>[];
  }[];
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

test('standalone: each policy that decided, without its masking keys', async () => {
  const chaperone = await TestChaperone.start({
    postgres,
    resources: [policy('p', [rule('first')]), ssn],
  });
  try {
    const client = await chaperone.connect('shop');
    await client.query('SELECT ssn FROM customers LIMIT 1');
    const { control, store } = chaperone.standalone;
    const { uid } = (await store.get('MachineIdentity', 'payments', 'nightly-report'))!.metadata;
    const key = control.bundle(uid)!.targets[0]!.masks[0]!.key!;
    await chaperone.inForce(() => chaperone.write([policy('p', [rule('second')]), ssn]));
    await client.query('SELECT ssn FROM customers LIMIT 1');
    await client.end();
    const decided = await eventsOf(chaperone, { type: 'OperationDecided' });
    const digests = [...new Set(decided.map(({ event }) => event.policyDigest as string))];
    expect(digests).toHaveLength(2);
    await withRecord(chaperone.directory, async (record) => {
      const rules: string[] = [];
      for (const digest of digests) {
        let text = await record.snapshot(digest);
        while (text === undefined) text = await record.snapshot(digest); // beside the events
        expect(sha256(text)).toBe(digest);
        expect(text).not.toContain(key);
        const { identity, targets } = JSON.parse(text) as SnapshotText;
        expect(identity.name).toBe('nightly-report');
        expect(targets[0]!.masks[0]).toMatchObject({ keyId: expect.any(String) });
        rules.push(...targets[0]!.rules.map(({ ref }) => ref.rule));
      }
      expect(rules).toEqual(['first', 'second']);

      let shown = '';
      const output = new Writable({
        write(chunk, _encoding, done) {
          shown += String(chunk);
          done();
        },
      });
      await showPolicy(record, digests[0]!, { output: 'json' }, output);
      expect(sha256(shown.trimEnd())).toBe(digests[0]);
      const unknown = showPolicy(record, 'f'.repeat(64), { output: 'table' }, output);
      await expect(unknown).rejects.toMatchObject({ code: 'CHP-6007' });
      const short = showPolicy(record, 'ff', { output: 'table' }, output);
      await expect(short).rejects.toMatchObject({ code: 'CHP-1002' });
    });
  } finally {
    await chaperone.stop();
  }
});

test('a sidecar that is killed while the collector is away: the next one brings the policy', async () => {
  const lab = await SidecarLab.start({ postgres, resources: [policy('p', [rule('only')]), ssn] });
  try {
    await lab.collector.end('SIGKILL');
    const client = await lab.connect();
    await client.query('SELECT 1 FROM customers LIMIT 1');
    await lab.sidecar.end('SIGKILL');
    await lab.startCollector();
    await lab.startSidecar();
    const [decided] = await lab.until(
      () => lab.events({ type: 'OperationDecided' }),
      (events) => events.length > 0,
    );
    const digest = decided!.event.policyDigest as string;
    const text = await lab.until(
      () => lab.record((record) => record.snapshot(digest)),
      (found) => found !== undefined,
    );
    expect(sha256(text!)).toBe(digest);
  } finally {
    await lab.stop();
  }
});
