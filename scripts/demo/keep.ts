import type { Screen } from './screen.ts';
import type { Stage } from './stage.ts';

const keptTicketMs = 12 * 3_600_000;

/** How to go on by hand: with what is kept running, or how to keep it. */
export async function byHand(
  screen: Screen,
  stage: Stage,
  keep: boolean,
  seconds: string,
): Promise<void> {
  screen.scene('Try it by hand', `All of the above took ${seconds} s.`);
  screen.blank();
  const identity = 'nightly-report';
  const { host, port, user, password } = await stage.ticket(identity, keptTicketMs);
  const { shop, directory, standalone } = stage;
  const psql = `PGPASSWORD=${password} psql -h ${host} -p ${port} -U ${user} -d ${shop.database}`;
  if (!keep) {
    screen.plain('make demo KEEP=1 leaves it running and prints a line like this one for psql:');
    screen.plain(psql, 'bold');
    screen.blank();
    return;
  }
  screen.plain(psql, 'bold');
  screen.blank();
  screen.plain(`Its resources, edit them while you are connected:  ${directory}`);
  screen.plain(`bin/chaperone sessions --directory ${directory}`);
  screen.plain(`curl ${standalone.opsUrl}/metrics`);
  screen.blank();
}

/** Resolves when the demo is to end. */
export async function keepRunning(screen: Screen, interrupted: Promise<unknown>): Promise<void> {
  screen.plain('Running until Ctrl-C.');
  await interrupted;
}
