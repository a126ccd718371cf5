/** What each program takes, idle and with sessions. */
import { setTimeout as delay } from 'node:timers/promises';
import { residentBytes } from './children.ts';
import type { Client } from './client.ts';
import { goals } from './goals.ts';
import { pgbench, runPgbench } from './pgbench.ts';
import { against, type Figure, mebibytes } from './report.ts';
import type { Path } from './stage.ts';

const section = 'memory';
const inMiB = (pid: number): number => mebibytes(residentBytes(pid).now);

/** `gateway` and `standalone`: freshly started, nothing has connected. */
export function idle(gateway: Path, standalone: Path): Figure[] {
  const alone = inMiB(gateway.pid!);
  return [
    {
      section,
      figure: 'idle RSS, gateway alone (bundle)',
      ...against(goals.rssIdle, [alone]),
      measured: `${alone.toFixed(0)} MiB`,
      samples: { mebibytes: [alone] },
    },
    {
      section,
      figure: 'idle RSS, standalone (bundle)',
      measured: `${inMiB(standalone.pid!).toFixed(0)} MiB`,
    },
  ];
}

/** RSS of a fresh gateway while 32 clients are at work. */
export async function withClients(gateway: Path): Promise<Figure[]> {
  if (pgbench === undefined) return [];
  const load = runPgbench(gateway, {
    protocol: 'prepared',
    clients: 32,
    seconds: 3,
    script: '\\set id random(1, 20000)\nSELECT id, owner, email FROM accounts WHERE id = :id;\n',
  });
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, inMiB(gateway.pid!));
  }, 100);
  try {
    await load;
  } finally {
    clearInterval(watch);
  }
  return [
    {
      section,
      figure: 'RSS with 32 clients at work, gateway alone',
      ...against(goals.rssUnderLoad, [most]),
      measured: `${most.toFixed(0)} MiB`,
      samples: { mebibytes: [most] },
    },
  ];
}

const steps = [0, 50, 200, 500];

/** What sessions that wait take of a fresh gateway: each has made one statement of a few. */
export async function idleSessions(client: Client, gateway: Path): Promise<Figure[]> {
  const resident: number[] = [];
  let open = 0;
  for (const count of steps) {
    const sql = `SELECT id, owner, email FROM accounts WHERE id = ${1 + count}`;
    await client.run(gateway, { kind: 'hold', count: count - open, sql });
    open = count;
    // What was garbage of the logins is collected and given back by then, or it is not.
    await delay(1500);
    resident.push(inMiB(gateway.pid!));
  }
  await client.run(gateway, { kind: 'release' });
  const [none = 0] = resident;
  const most = resident.at(-1)! - none;
  return [
    {
      section: 'sessions',
      figure: `RSS with ${steps.join('/')} idle sessions, gateway`,
      measured: `${resident.map((value) => value.toFixed(0)).join('/')} MiB`,
      samples: { sessions: steps, mebibytes: resident },
    },
    {
      section: 'sessions',
      figure: 'idle sessions in a MiB',
      measured: `${(open / most).toFixed(1)} (${((most * 1024) / open).toFixed(0)} KiB each)`,
      samples: { kibibytes: [(most * 1024) / open] },
    },
  ];
}
