/** The record as a reader sees it: through the collector's query API, once everything so far is in it. */
import { locateRecord, type Question, RecordClient } from '@chaperone/cli/record-client.ts';
import type { Standalone } from '@chaperone/cli/standalone/start.ts';
import type { EventView, SessionView } from '@chaperone/collector/query/render.ts';

export interface Recorded {
  readonly directory: string;
  readonly standalone: Standalone;
}

/** Resolves when the collector has acknowledged everything that was recorded so far. */
export function acknowledged({ standalone }: Recorded): Promise<void> {
  return new Promise((resolve, reject) => {
    standalone.recorder.whenDurable('Collector', (failure) =>
      failure === undefined ? resolve() : reject(failure),
    );
  });
}

/** Asks what the files of a running standalone lead to. */
export async function withRecord<Result>(
  directory: string,
  ask: (client: RecordClient) => Promise<Result>,
): Promise<Result> {
  const client = new RecordClient(locateRecord({ directory }));
  try {
    return await ask(client);
  } finally {
    client.close();
  }
}

/** All events that match, oldest first, of everything recorded so far. */
export async function eventsOf(of: Recorded, question: Question = {}): Promise<EventView[]> {
  await acknowledged(of);
  return withRecord(of.directory, (client) =>
    all(client.events(question, Number.POSITIVE_INFINITY)),
  );
}

/** The sessions of an identity, oldest first. */
export async function sessionsOf(of: Recorded, identity: string): Promise<SessionView[]> {
  await acknowledged(of);
  return withRecord(of.directory, (client) =>
    all(client.sessions({ identity, order: 'oldest' }, Number.POSITIVE_INFINITY)),
  );
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}
