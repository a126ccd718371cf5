import { expect, test } from '@jest/globals';
import { lockdownOf } from './lockdown.ts';
import { settings, target } from './testing.ts';

test('closes a Service by its whole name, since nothing completes it there', () => {
  const targets = [
    target('data/short', { host: 'short.data.svc', lockdownPorts: [5433] }),
    target('data/whole', { host: 'whole.data.svc.cluster.local' }),
    target('data/elsewhere', { host: 'db.example.com' }),
  ];
  const { env } = lockdownOf(settings, 'lockdown:1', targets, undefined);
  const closed = JSON.parse(env!.find(({ name }) => name === 'CHAPERONE_LOCKDOWN')!.value!);
  expect(closed).toEqual([
    { host: 'short.data.svc.cluster.local', port: 5432, anyAddress: false },
    { host: 'short.data.svc.cluster.local', port: 5433, anyAddress: true },
    { host: 'whole.data.svc.cluster.local', port: 5432, anyAddress: false },
    { host: 'db.example.com', port: 5432, anyAddress: false },
  ]);
});
