import { expect, test } from '@jest/globals';
import { Budget } from './budget.ts';
import { shopCatalog } from './test-shop.ts';
import { TextCatalog } from './text-catalog.ts';

test('changes that are not all understood are taken back', () => {
  const text = new TextCatalog(shopCatalog, new Budget());
  const customers = shopCatalog.relation('public', 'customers');
  const done = text.attempt(() => {
    const made = text.add({ schema: 'public', name: 't', kind: 'r' });
    text.tie(customers?.oid ?? 0, ['dependents'], made?.oid ?? 0);
    text.rename(made ?? (customers as never), 'u');
    text.addFunction('public', 'lower');
    expect(text.current.relation('public', 'u')).toBeDefined();
    return false;
  });
  expect(done).toBe(false);
  expect(text.current).toBe(shopCatalog);
  expect([text.relation('public', 't'), text.relation('public', 'u')]).toEqual([
    undefined,
    undefined,
  ]);
  expect(text.relation('public', 'customers')).toBe(customers);
  expect(text.attempt(() => true)).toBe(true);
  expect(text.current.functionSchemas('lower')).toEqual([]);
});

test('each change makes another catalog, and the one before stands', () => {
  const text = new TextCatalog(shopCatalog, new Budget());
  text.attempt(() => text.add({ schema: 'public', name: 't', kind: 'r' }) !== undefined);
  const first = text.current;
  text.attempt(() => text.add({ schema: 'public', name: 'u', kind: 'r' }) !== undefined);
  expect(first).not.toBe(shopCatalog);
  expect(text.current).not.toBe(first);
  expect(shopCatalog.relation('public', 't')).toBeUndefined();
  expect([...text.current.relations()].map(({ name }) => name)).toEqual(
    expect.arrayContaining(['t', 'u', 'customers']),
  );
});
