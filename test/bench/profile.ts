/**
 * `make profile`: the gateway as it is shipped, under small statements and under 100-row results with
 * `--cpu-prof`. Prints where its time goes and writes the profile, which Chrome's DevTools open, to `.bench/`.
 * `--unix` takes sockets on both sides, `--clients N` another number than 8, `--top N` more functions than 25.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { makeBundles } from './bundles.ts';
import { cpuSplit } from './children.ts';
import { type CpuProfile, type ProfileReport, readProfile } from './cpu-profile.ts';
import { pgbench, runPgbench, type StatementLoad } from './pgbench.ts';
import { accounts, type Path, Stage } from './stage.ts';

const { values } = parseArgs({
  options: {
    unix: { type: 'boolean', default: false },
    clients: { type: 'string', default: '8' },
    seconds: { type: 'string', default: '6' },
    top: { type: 'string', default: '25' },
  },
});
const [clients, seconds, top] = [values.clients, values.seconds, values.top].map(Number) as [
  number,
  number,
  number,
];

const columns = 'SELECT id, owner, email, balance FROM accounts WHERE id';
const loads = {
  'small statements': `\\set id random(1, ${accounts})\n${columns} = :id;\n`,
  '100-row results': `\\set id random(1, ${accounts - 99})\n${columns} BETWEEN :id AND :id + 99;\n`,
} as const;

interface Measured {
  readonly name: string;
  /** Of the monotonic clock, in microseconds. */
  readonly fromUs: number;
  readonly toUs: number;
  readonly statements: number;
  readonly perSecond: number;
  /** Of all threads, a statement, in microseconds. */
  readonly userUs: number;
  readonly systemUs: number;
}

const root = resolve(import.meta.dirname, '../..');
const out = join(root, '.bench');
const monotonicUs = (): number => Number(process.hrtime.bigint() / 1000n);

async function underLoad(path: Path, name: keyof typeof loads): Promise<Measured> {
  const load: StatementLoad = { protocol: 'prepared', clients, seconds, script: loads[name] };
  await runPgbench(path, { ...load, seconds: 3 });
  const before = cpuSplit(path.pid!);
  const fromUs = monotonicUs();
  const { perSecond } = await runPgbench(path, load);
  const toUs = monotonicUs();
  const after = cpuSplit(path.pid!);
  const statements = perSecond * seconds;
  return {
    name,
    fromUs,
    toUs,
    statements,
    perSecond,
    userUs: (after.userUs - before.userUs) / statements,
    systemUs: (after.systemUs - before.systemUs) / statements,
  };
}

function print(measured: Measured, report: ProfileReport): void {
  const { statements, perSecond, userUs, systemUs } = measured;
  const busyUs = report.wallUs - report.idleUs;
  const each = (us: number): string => (us / statements).toFixed(2).padStart(7);
  const part = (us: number): string => `${((100 * us) / busyUs).toFixed(1).padStart(5)} %`;
  console.log(`\n## ${measured.name}, ${clients} clients: ${Math.round(perSecond)} a second\n`);
  console.log(
    `CPU of all threads a statement: ${(userUs + systemUs).toFixed(1)} µs, ${userUs.toFixed(1)} of it in user space and ${systemUs.toFixed(1)} in the kernel.`,
  );
  console.log(
    `The main thread is busy ${((100 * busyUs) / report.wallUs).toFixed(0)} % of the time: ${(busyUs / statements).toFixed(1)} µs a statement, of which`,
  );
  console.log('\n  µs in it   share   µs on its behalf   share');
  for (const { group, selfUs, onBehalfUs } of report.groups) {
    if (selfUs === 0 && onBehalfUs === 0) continue;
    console.log(
      `   ${each(selfUs)} ${part(selfUs)}            ${each(onBehalfUs)} ${part(onBehalfUs)}   ${group}`,
    );
  }
  const all = report.functions.filter(({ name }) => name !== '(root)');
  const tables = [
    ['by their own time', all],
    [
      'of ours, with what they call',
      all.filter(({ isOurs }) => isOurs).sort((a, b) => b.totalUs - a.totalUs),
    ],
  ] as const;
  for (const [what, functions] of tables) {
    console.log(`\n   µs alone   share   µs with calls   share   functions ${what}`);
    const shown = functions.slice(0, top);
    for (const { name, place, selfUs, totalUs } of shown) {
      console.log(
        `    ${each(selfUs)} ${part(selfUs)}         ${each(totalUs)} ${part(totalUs)}   ${name}  ${place}`,
      );
    }
  }
}

async function profile(): Promise<void> {
  if (pgbench === undefined) throw new Error('pgbench is not installed: it makes the load');
  mkdirSync(out, { recursive: true });
  const directory = mkdtempSync(join(out, 'profile-'));
  let stage: Stage | undefined;
  try {
    const bundles = await makeBundles(directory);
    stage = await Stage.start(bundles);
    const written = join(directory, 'written');
    const nodeArgs = ['--cpu-prof', `--cpu-prof-dir=${written}`, '--cpu-prof-interval=250'];
    const gateway = await stage.gateway('gateway', { unix: values.unix, nodeArgs });
    const measured: Measured[] = [];
    for (const name of Object.keys(loads) as (keyof typeof loads)[]) {
      measured.push(await underLoad(gateway, name));
    }
    // The profile is written when the program ends.
    await stage.stopPath(gateway);
    const [file] = readdirSync(written);
    if (file === undefined) throw new Error('no profile was written');
    const kept = join(out, `gateway-${new Date().toISOString().replace(/[:.]/g, '-')}.cpuprofile`);
    renameSync(join(written, file), kept);
    const found = JSON.parse(readFileSync(kept, 'utf8')) as CpuProfile;
    const map = new SourceMap(JSON.parse(readFileSync(`${bundles.gateway}.map`, 'utf8')));
    for (const one of measured) {
      const report = readProfile(found, {
        map,
        bundleUrl: pathToFileURL(bundles.gateway).href,
        sourcePath: (source) => relative(root, resolve(directory, source)),
        fromUs: one.fromUs,
        toUs: one.toUs,
      });
      print(one, report);
    }
    console.log(
      '\nElapsed time is sampled: what waits for a core, as a write that wakes its reader does, counts where it waits.',
    );
    console.log(kept);
  } finally {
    await stage?.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

await profile();
