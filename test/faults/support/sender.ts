import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { extended } from '../../support/attack-lab.ts';
import { errorFields, type RawClient } from '../../support/raw-client.ts';
import type { Belief } from './tally.ts';

export type Protocol = 'simple' | 'extended';

/** What the client may believe of a statement, and whether its connection is still there. */
export interface Sent {
  readonly belief: Belief;
  readonly usable: boolean;
}

/** Sends one statement and says what the client may believe of it. */
export async function send(client: RawClient, sql: string, protocol: Protocol): Promise<Sent> {
  const bytes =
    protocol === 'simple' ? write.query(sql) : Buffer.concat([...extended(sql), write.sync]);
  const answers = await client.exchange(bytes);
  const usable = answers.at(-1)?.type === 'Z';
  const error = answers.findLast(({ type }) => type === 'E');
  if (error === undefined) return { belief: usable ? 'Ok' : 'Lost', usable };
  // A FATAL at the end of a connection says nothing of the statement, unless that it was not forwarded.
  const told = errorFields(error.body).get('M')?.includes('was not forwarded') === true;
  return { belief: usable || told ? 'Refused' : 'Lost', usable };
}
