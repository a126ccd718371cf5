import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { cached, inputsKey } from './cached.ts';

const release = 'bookworm';
/** No container needs them, and they are most of what the packages weigh. */
const leftOut = [
  './usr/share/doc/*',
  './usr/share/man/*',
  './usr/share/locale/*',
  './usr/share/i18n/*',
  './usr/share/perl/*',
  './usr/lib/*/perl*',
  './usr/lib/*/libperl*',
  './usr/bin/perl*',
  './usr/lib/*/libLLVM*',
  './usr/lib/*/libz3*',
  './usr/lib/postgresql/*/lib/bitcode',
  './usr/lib/postgresql/*/lib/llvmjit*',
];

/** A tar of Debian packages and what they depend on, unpacked without running anything of theirs. */
export async function rootFileSystem(name: string, packages: readonly string[]): Promise<string> {
  const key = inputsKey({ texts: [release, ...packages, ...leftOut] });
  const directory = await cached(`files-${name}`, key, (work) => {
    const tree = join(work, 'tree');
    const options = ['--mode=root', '--variant=extract', `--include=${packages.join(',')}`];
    const { status, stderr } = spawnSync('mmdebstrap', [...options, release, tree], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`mmdebstrap of ${packages.join(' ')} failed:\n${stderr}`);
    const excluded = leftOut.map((pattern) => `--exclude=${pattern}`);
    const output = join(work, 'root.tar');
    const devices = ['--exclude=./dev/*', '--exclude=./var/cache/*', '--exclude=./var/lib/apt/*'];
    execFileSync('tar', ['-C', tree, ...devices, ...excluded, '-cf', output, '.']);
    rmSync(tree, { recursive: true });
  });
  return join(directory, 'root.tar');
}
