/** The programs as they are shipped: one file each, and how much memory the sidecar takes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { policy } from '../support/chaperone.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { runProgram } from '../support/programs.ts';
import { loadShop } from '../support/shop.ts';
import { SidecarLab, startReachablePostgres } from '../support/sidecar-lab.ts';

let postgres: TestPostgres;
let bundles: string;
let lab: SidecarLab;
beforeAll(async () => {
  bundles = mkdtempSync(join(tmpdir(), 'chaperone-bundles-'));
  const build = resolve(import.meta.dirname, '../../scripts/build.ts');
  const built = await runProgram(process.execPath, [build, '--out', bundles]);
  expect(built.err).toBe('');
  postgres = await startReachablePostgres();
  await loadShop(postgres, { orders: 200 });
  const rule = { name: 'all', action: 'Allow', classes: ['Read'], resources: ['shop.public.*'] };
  lab = await SidecarLab.start({ postgres, bundles, resources: [policy('p', [rule])] });
});
afterAll(async () => {
  await lab?.stop();
  await postgres?.stop();
  rmSync(bundles, { recursive: true, force: true });
});

test('govern, record and end', async () => {
  const idleMiB = lab.sidecar.residentMiB();
  const clients = await Promise.all(Array.from({ length: 8 }, () => lab.connect()));
  for (let n = 0; n < 200; n += 1) {
    await Promise.all(clients.map((client) => client.query('SELECT * FROM orders LIMIT 10')));
  }
  process.stdout.write(
    `sidecar as shipped: ${idleMiB.toFixed(0)} MiB at rest, ${lab.sidecar.residentMiB().toFixed(0)} MiB with 8 sessions and 1600 statements\n`,
  );
  await Promise.all(clients.map((client) => client.end()));
  expect(await lab.sidecar.end('SIGTERM')).toBe(0);
  expect(await lab.events({ type: 'OperationDecided' })).toHaveLength(1600);
  expect(await lab.collector.end('SIGTERM')).toBe(0);
});
