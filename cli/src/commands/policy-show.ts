import { terminalSafe } from '@chaperone/collector/replay/terminal-safe.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { Command } from 'commander';
import { type Output, safeJson, writeLine } from '../output.ts';
import type { RecordClient } from '../record-client.ts';
import { addRecordOptions, type RecordOptions, withRecord } from './record-options.ts';

/**
 * Writes the policy that decided, by the digest that events name it by. As JSON: the bytes that the digest is of, and a newline.
 * Throws ChaperoneError CHP-1002 and CHP-6007.
 */
export async function showPolicy(
  client: RecordClient,
  digest: string,
  { output: form }: Pick<RecordOptions, 'output'>,
  output: Output,
): Promise<void> {
  if (!/^[0-9a-f]{64}$/.test(digest)) {
    throw new ChaperoneError('CHP-1002', 'A digest has 64 hexadecimal digits.', {
      hint: 'Take it from policyDigest of an event: chaperone events -o json.',
    });
  }
  const text = await client.snapshot(digest);
  if (text === undefined) {
    throw new ChaperoneError('CHP-6007', 'The record holds no policy of that digest.');
  }
  if (form === 'json') {
    // For a program, byte for byte.
    await writeLine(output, output.isTTY === true ? safeJson(JSON.parse(text)) : text);
    return;
  }
  for (const line of JSON.stringify(JSON.parse(text), null, 2).split('\n')) {
    await writeLine(output, terminalSafe(line));
  }
}

export function registerPolicyShow(policy: Command): void {
  addRecordOptions(
    policy
      .command('show <digest>')
      .description('show the policy that decided, from the record, by policyDigest of an event'),
  ).action((digest: string, options: RecordOptions) =>
    withRecord(options, (client) => showPolicy(client, digest, options, process.stdout)),
  );
}
