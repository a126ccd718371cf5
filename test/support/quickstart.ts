import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { TestPostgres } from './postgres.ts';
import type { Shop } from './shop.ts';

const quickstart = resolve(import.meta.dirname, '../../examples/quickstart');

/** Copies examples/quickstart as it stands, with the address and the login of a shop of ours put in. */
export function copyQuickstart(directory: string, postgres: TestPostgres, shop: Shop): void {
  const values: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
    'target.yaml': [
      ['host: localhost', `host: ${postgres.host}`],
      ['port: 5432', `port: ${postgres.port}`],
    ],
    'secret.yaml': [
      ['username: shop_app', `username: ${shop.user}`],
      ['password: change-me', `password: ${shop.password}`],
    ],
  };
  for (const file of readdirSync(quickstart).filter((name) => name.endsWith('.yaml'))) {
    let text = readFileSync(join(quickstart, file), 'utf8');
    for (const [from, to] of values[file] ?? []) {
      if (!text.includes(from)) throw new Error(`${file} of the quickstart does not say ${from}`);
      text = text.replace(from, to);
    }
    writeFileSync(join(directory, file), text, { mode: 0o600 });
  }
}
