/** Puts rules into the network namespace that we run in. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { countJumps, type LockdownRules, renderRules } from './rules.ts';

export type Rules = Omit<LockdownRules, 'jumps'>;

/** A hang of iptables must end as a failure. */
const timeoutMs = 30_000;

/**
 * Installs the rules of all families, or none where one of them is not understood: each is tried before the
 * first is applied. What stood there by an earlier run is replaced. Throws CHP-1021.
 */
export async function installRules(families: readonly Rules[]): Promise<void> {
  const texts: { readonly family: 4 | 6; readonly text: string }[] = [];
  for (const rules of families) {
    const saved = await iptables(rules.family, 'save', ['-t', 'filter'], '');
    const text = renderRules({ ...rules, jumps: countJumps(saved) });
    await iptables(rules.family, 'restore', ['--noflush', '--test'], text);
    texts.push({ family: rules.family, text });
  }
  for (const { family, text } of texts) await iptables(family, 'restore', ['--noflush'], text);
}

/** The nft variant: it needs NET_ADMIN alone, where the older one wants NET_RAW too. */
async function iptables(
  family: 4 | 6,
  command: 'save' | 'restore',
  args: readonly string[],
  input: string,
): Promise<string> {
  const program = `${family === 4 ? 'iptables' : 'ip6tables'}-nft-${command}`;
  const child = execFile(program, args, { timeout: timeoutMs, encoding: 'utf8' });
  let output = '';
  let complaint = '';
  child.stdout?.on('data', (text: string) => {
    output += text;
  });
  child.stderr?.on('data', (text: string) => {
    complaint += text;
  });
  child.stdin?.on('error', () => {}); // a program that ends early says why in another way
  child.stdin?.end(input);
  let code: number | null;
  try {
    [code] = (await once(child, 'close')) as [number | null];
  } catch (cause) {
    throw new ChaperoneError('CHP-1021', `${program} cannot be run: ${(cause as Error).message}.`, {
      cause,
    });
  }
  if (code !== 0) {
    const why = complaint.trim().replace(/\s+/g, ' ').slice(0, 1000);
    throw new ChaperoneError(
      'CHP-1021',
      `${program} failed (${code ?? 'ended by a signal'}): ${why}`,
    );
  }
  return output;
}
