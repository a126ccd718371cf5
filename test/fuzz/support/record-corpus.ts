/** Writes `corpus.json`: conversations of the transparency tests, as a client and PostgreSQL had them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { createOrigin, secretTexts, stepsOf, texts } from '../../support/conversations.ts';
import { startPostgres } from '../../support/postgres.ts';
import { RawClient } from '../../support/raw-client.ts';

const conversations = 40;
/** Long results add nothing to what mutation can find. */
const maxServerBytes = 6000;

const postgres = await startPostgres({ version: 18 });
try {
  await createOrigin(postgres);
  const steps = fc.array(stepsOf([...texts, ...secretTexts]), { minLength: 2, maxLength: 5 });
  const recorded: { client: string; server: string }[] = [];
  for (const [at, chosen] of fc.sample(steps, { numRuns: 400, seed: 1 }).entries()) {
    if (recorded.length === conversations) break;
    await postgres.query(`CREATE DATABASE c${at} TEMPLATE origin STRATEGY file_copy`);
    const { host, port, superuser: user, password } = postgres;
    const client = await RawClient.direct({ host, port, user, password, database: `c${at}` });
    const heard: Buffer[] = [];
    client.socket.on('data', (chunk: Buffer) => heard.push(Buffer.from(chunk)));
    const said = chosen.map((step) => step.bytes((text) => text));
    for (const [index, bytes] of said.entries()) await client.exchange(bytes, chosen[index]!.ready);
    client.end();
    await client.until(() => false);
    const server = Buffer.concat(heard);
    if (server.length > maxServerBytes) continue;
    const bytes = Buffer.concat(said);
    recorded.push({ client: bytes.toString('base64'), server: server.toString('base64') });
  }
  const path = join(import.meta.dirname, '..', 'corpus.json');
  writeFileSync(path, `${JSON.stringify(recorded, undefined, 1)}\n`);
} finally {
  await postgres.stop();
}
