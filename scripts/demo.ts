/**
 * `make demo`: a real PostgreSQL governed by the resources of examples/quickstart, step by step. Ends with an
 * error when anything did not behave as it is told. `--keep` leaves it all running until Ctrl-C.
 */
import { byHand, keepRunning } from './demo/keep.ts';
import { NotAsTold } from './demo/scene.ts';
import { allowed } from './demo/scenes/allowed.ts';
import { masked } from './demo/scenes/masked.ts';
import { metrics } from './demo/scenes/metrics.ts';
import { observe } from './demo/scenes/observe.ts';
import { record } from './demo/scenes/record.ts';
import { refused } from './demo/scenes/refused.ts';
import { suspended } from './demo/scenes/suspended.ts';
import { Screen } from './demo/screen.ts';
import { Stage } from './demo/stage.ts';

const unknown = process.argv.slice(2).filter((argument) => argument !== '--keep');
if (unknown.length > 0) {
  process.stderr.write(`Unknown: ${unknown.join(' ')}. The only flag is --keep.\n`);
  process.exit(2);
}
const keep = process.argv.includes('--keep');
const screen = new Screen(process.stdout, process.env);
const interruption = new AbortController();
const interrupted = new Promise<'Interrupted'>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      screen.blank();
      screen.plain('stopping …', 'dim');
      screen.end(); // what is still under way fails now, and that is no part of the story
      interruption.abort();
      resolve('Interrupted');
    });
  }
});
process.stdout.on('error', () => {}); // a reader that closes early does not keep the demo from cleaning up

async function play(stage: Stage): Promise<'Played'> {
  const scenes = { screen, stage };
  await allowed(scenes);
  await masked(scenes);
  const refusedSession = await refused(scenes);
  await suspended(scenes);
  await record(scenes, refusedSession);
  await metrics(scenes);
  await observe(scenes);
  return 'Played';
}

const startedAt = performance.now();
screen.title(
  'Chaperone',
  'A real PostgreSQL, governed by the resources of examples/quickstart. Everything below happens now, on this machine.',
);
screen.blank();
let stage: Stage | undefined;
try {
  stage = await Stage.open((what) => screen.plain(`starting ${what} …`, 'dim'));
  const ending = interruption.signal.aborted
    ? 'Interrupted'
    : await Promise.race([play(stage), interrupted]);
  if (ending === 'Played') {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    await byHand(screen, stage, keep, seconds);
    if (keep) await keepRunning(screen, interrupted);
  } else process.exitCode = 130;
} catch (error) {
  process.exitCode = 1;
  const text = error instanceof Error && !(error instanceof NotAsTold) ? error.stack : error;
  process.stderr.write(`\nThe demo did not go as told: ${String(text)}\n`);
} finally {
  await stage?.close();
}
