/** How the images start a program: said once, in the Dockerfile, and measured and tested like that. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const dockerfile = readFileSync(resolve(import.meta.dirname, '../../Dockerfile'), 'utf8');

function entryPoint(): readonly string[] {
  const found = /^ENTRYPOINT (\[.*\])$/m.exec(dockerfile)?.[1];
  if (found === undefined) throw new Error('the Dockerfile has no ENTRYPOINT as a list');
  return JSON.parse(found) as string[];
}

/** Options of Node.js, between its own path and the program's. */
export const shippedNodeArgs: readonly string[] = entryPoint().slice(1, -1);

/** The environment that the image sets. */
export const shippedEnv: Readonly<Record<string, string>> = Object.fromEntries(
  [...dockerfile.matchAll(/^ENV ([A-Z_]+)=(\S+)$/gm)].map(([, name, value]) => [name!, value!]),
);
