import { refused as refusedLogin } from '../caller.ts';
import { expectThat, type Play, show, showRows, until } from '../scene.ts';

const running = `SELECT count(*)::int AS n FROM pg_stat_activity
  WHERE usename = 'shop_app' AND state = 'active' AND query LIKE '%JOIN orders AS b%'`;

export async function suspended(play: Play): Promise<void> {
  const { screen, stage } = play;
  screen.scene(
    'An identity is suspended in the middle of a statement',
    'identities.yaml is edited while nightly-report waits for a long report.',
  );
  const caller = await stage.connect('nightly-report');
  // Made beforehand: a suspended identity is given none.
  const ticket = await stage.ticket('nightly-report');
  const isRunning = async (): Promise<boolean> =>
    (await stage.postgres.query<{ n: number }>(running)).rows[0]!.n > 0;

  const long = 'SELECT count(*) FROM orders AS a JOIN orders AS b ON a.total < b.total';
  screen.statement(caller.identity, long);
  let endedAt = 0;
  const asking = caller.ask(long).then((answer) => {
    endedAt = performance.now();
    return answer;
  });
  await until('the statement runs', isRunning);
  screen.plain('… running …', 'dim');
  screen.edit('identities.yaml', 'suspended: false', 'suspended: true');
  const savedAt = stage.edit('identities.yaml', 'suspended: false', 'suspended: true');
  const answer = await asking;
  show(screen, answer);
  expectThat(answer.kind === 'Refused' && answer.code === '57P01', 'the session was to be cut');
  const ms = Math.round(endedAt - savedAt);
  screen.holds(`cut ${ms} ms after the file was saved`);
  expectThat(ms < 1000, 'it took more than a second');
  await caller.gone;
  await until('the database stops the statement', async () => !(await isRunning()));
  screen.holds('and the statement was stopped in the database, too');

  screen.statement(caller.identity, '(connects again)');
  const again = await stage.connect('nightly-report', ticket).then(() => undefined, refusedLogin);
  expectThat(again !== undefined, 'a suspended identity could connect');
  show(screen, again);
  expectThat(again.code === '28000', `SQLSTATE 28000 was expected, not ${again.code}`);

  screen.paragraph('Somebody else goes on meanwhile:');
  const support = await stage.connect('support-tool');
  const lookUp = 'SELECT id, name, phone FROM customers WHERE id = $1';
  await showRows(play, support, lookUp, [7]);
  await support.end();
  await stage.editInForce('identities.yaml', 'suspended: true', 'suspended: false');
}
