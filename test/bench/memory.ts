/** What each program takes, idle and with sessions. */
import { residentBytes } from './children.ts';
import { pgbench, runPgbench } from './pgbench.ts';
import { type Figure, mebibytes } from './report.ts';
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
      goal: '≤ 75 MiB',
      measured: `${alone.toFixed(0)} MiB`,
      ok: alone <= 75,
      samples: { mebibytes: [alone] },
    },
    {
      section,
      figure: 'idle RSS, standalone (bundle)',
      goal: '',
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
      goal: '≤ 80 MiB',
      measured: `${most.toFixed(0)} MiB`,
      ok: most <= 80,
      samples: { mebibytes: [most] },
    },
  ];
}
