/**
 * What the tests of drivers with their pools share: the driver lab with types of the application's own, an
 * identity for the pool that can be suspended, another that may migrate a schema, and the refusals as the
 * record has them.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OperationDecided } from '@chaperone/core/events/types.ts';
import { identity, policy } from './chaperone.ts';
import { type DriverLab, startDriverLab } from './driver-lab.ts';
import type { PostgresVersion } from './postgres.ts';
import { eventsOf } from './record.ts';

export interface PoolLab extends DriverLab {
  /** libpq's variables for a connection as this identity; the CA is in PGSSLROOTCERT. */
  environment(name: string): Promise<Record<string, string>>;
  /**
   * What was refused so far, oldest first, besides what the programs provoke: deleting orders, and
   * connecting while suspended. Throws when nothing at all was refused: the record would be empty then.
   */
  unexpectedRefusals(): Promise<Refusal[]>;
}

export interface Refusal {
  readonly statement: string;
  readonly reason: string;
}

const types = `
CREATE TYPE mood AS ENUM ('happy', 'sad');
CREATE TYPE home AS (street text, city text);
CREATE TABLE residents (id int PRIMARY KEY, mood mood NOT NULL, home home NOT NULL, moods mood[] NOT NULL);
INSERT INTO residents VALUES (1, 'happy', ROW('Main Street', 'Springfield'), '{sad,happy}');
CREATE TABLE notes (id serial PRIMARY KEY, body text NOT NULL, tags jsonb NOT NULL DEFAULT '{}');
CREATE SCHEMA app;
`;

/** May change schema `app`, and nothing of the shop. */
const migrations = policy(
  'migrations',
  [
    {
      name: 'schema',
      action: 'Allow',
      classes: ['Schema', 'Read', 'Write'],
      resources: ['shop.app', 'shop.app.**'],
    },
  ],
  { subjects: { identities: [{ name: 'migrator', namespace: 'payments' }] } },
);

/** SELECT … FOR UPDATE, which ORMs send where they are asked to, needs a rule of its own. */
const locks = policy('locks', [
  { name: 'rows', action: 'Allow', verbs: ['Lock'], resources: ['shop.public.**'] },
]);

export async function startPoolLab(version: PostgresVersion): Promise<PoolLab> {
  const lab = await startDriverLab(version, [
    identity('pooled'),
    identity('migrator'),
    migrations,
    locks,
  ]);
  const { chaperone, postgres } = lab;
  await postgres.query(types, undefined, 'shop');
  const ca = join(chaperone.directory, 'ca.pem');
  writeFileSync(ca, lab.ca);
  return {
    ...lab,
    async environment(name) {
      const { host, port, user, password, database } = await chaperone.connection('shop', name);
      return {
        PGHOST: host,
        PGPORT: String(port),
        PGUSER: user,
        PGPASSWORD: password,
        PGDATABASE: database,
        PGSSLMODE: 'verify-full',
        PGSSLROOTCERT: ca,
      };
    },
    async unexpectedRefusals() {
      const events = await eventsOf(chaperone, { order: 'oldest' });
      const refused = events.flatMap(({ event, parts }) => {
        if (event.type !== 'OperationDecided') return [];
        const { verdict, reason = '', operations } = event as unknown as OperationDecided;
        if (verdict === 'Allow') return [];
        const text = parts.statement;
        const why = operations.flatMap((operation) => operation.reason ?? []).join('; ');
        return [
          {
            statement: text?.state === 'Kept' ? text.content : '',
            reason: why === '' ? reason : `${reason}: ${why}`,
          },
        ];
      });
      if (refused.length === 0) throw new Error('the record has no refusal');
      return refused.filter(
        ({ statement, reason }) =>
          !(/^DELETE FROM "?orders"?\b/.test(statement) && reason === 'DeniedByRule') &&
          reason !== 'Suspended',
      );
    },
  };
}
