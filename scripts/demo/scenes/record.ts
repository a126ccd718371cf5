import { replaySession } from '@chaperone/cli/commands/replay.ts';
import { listSessions } from '@chaperone/cli/commands/sessions.ts';
import { Lines } from '../lines.ts';
import { expectThat, type Play, until } from '../scene.ts';

const all = { order: 'oldest' as const, limit: Number.POSITIVE_INFINITY };

/** Ids of the callers' sessions, in the order in which they opened, once their record is whole. */
async function recordedSessions({ stage }: Play): Promise<string[]> {
  const ids: string[] = [];
  await until('the record is whole', async () => {
    ids.length = 0;
    for await (const session of stage.record.sessions({ order: 'oldest' }, all.limit)) {
      if (session.identity === undefined) continue; // a program's own
      if (session.closed === undefined || session.known > session.acknowledged) return false;
      // One that was refused at login is on record, too, and never was a caller's session.
      if (session.closed.reason !== 'Refused') ids.push(session.id);
    }
    return true;
  });
  return ids;
}

/** Shows a session by its number as `chaperone replay` does; returns the lines. */
export async function showReplay(play: Play, session: number): Promise<string[]> {
  const { screen, stage } = play;
  const id = (await recordedSessions(play))[session];
  expectThat(id !== undefined, 'the session is not in the record');
  screen.command(`chaperone replay ${id}`);
  const lines = new Lines();
  const { directory } = stage;
  await replaySession(stage.record, id, { directory, output: 'table', rows: 5 }, lines);
  for (const line of lines.all()) screen.quoted(line);
  return lines.all();
}

export async function record(play: Play, refusedSession: number): Promise<void> {
  const { screen, stage } = play;
  screen.scene(
    'All of it is on record',
    'Each decision was written before its statement went out.',
  );
  await recordedSessions(play);
  screen.command('chaperone sessions --order oldest');
  const lines = new Lines(screen.columns);
  const { directory } = stage;
  await listSessions(stage.record, { ...all, directory, output: 'table' }, lines);
  for (const line of lines.all()) screen.plain(line);
  const replayed = (await showReplay(play, refusedSession)).join('\n');
  const { length } = replayed.match(/^\s*Deny by|^\s*Deny:|^\s*Deny$/gm) ?? [];
  expectThat(length === 3, `three denials were expected on record, not ${length}`);
  expectThat(replayed.includes('RequireApproval'), 'no RequireApproval on record');
}
