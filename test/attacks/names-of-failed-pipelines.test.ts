/**
 * Names that are given, or taken away, by messages that the server then never carries out: what stands behind the
 * Sync of that pipeline goes by what the name meant before, and must have been decided by that.
 */
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type Answer,
  type Attacker,
  AttackLab,
  bind,
  extended,
  harmless,
  hidden,
  leaks,
} from '../support/attack-lab.ts';
import { installedVersions } from '../support/postgres.ts';

const failing = extended('SELECT 1/0', { statement: 'failing', portal: 'failing' });
const closeStatement = (name: string) => write.close('Statement', name);
const executed = (statement: string) => [bind(statement), write.execute('', 0), write.sync];

/** Prepares for it; then the write in which a name changes and does not, up to its last ReadyForQuery. */
const attacks: Readonly<Record<string, (attacker: Attacker) => Promise<Answer>>> = {
  'a Parse that fails': async (attacker) => {
    await attacker.send([write.parse('s', hidden), write.sync]);
    return attacker.send([write.parse('s', harmless), write.sync, ...executed('s')], 2);
  },
  'a Close and a Parse that are skipped': async (attacker) => {
    await attacker.send([write.parse('s', hidden), write.sync]);
    const changed = [closeStatement('s'), write.parse('s', harmless)];
    return attacker.send([...failing, ...changed, write.sync, ...executed('s')], 2);
  },
  'a Parse of the unnamed statement that is skipped': async (attacker) => {
    await attacker.send([write.parse('', hidden), write.sync]);
    return attacker.send([...failing, write.parse('', harmless), write.sync, ...executed('')], 2);
  },
  'EXECUTE by a simple Query behind it': async (attacker) => {
    await attacker.send([write.parse('s', hidden), write.sync]);
    const changed = [closeStatement('s'), write.parse('s', harmless)];
    return attacker.send([...failing, ...changed, write.sync, write.query('EXECUTE s')], 2);
  },
  'EXECUTE by the extended protocol behind it': async (attacker) => {
    await attacker.send([write.parse('s', hidden), write.sync]);
    await attacker.send([write.parse('e', 'EXECUTE s'), write.sync]);
    const changed = [closeStatement('s'), write.parse('s', harmless)];
    return attacker.send([...failing, ...changed, write.sync, ...executed('e')], 2);
  },
  'Describe of an EXECUTE behind it': async (attacker) => {
    await attacker.send([write.parse('s', hidden), write.sync]);
    await attacker.send([write.parse('e', 'EXECUTE s'), write.sync]);
    const described = [bind('e'), write.describe('Portal', ''), write.execute('', 0), write.sync];
    return attacker.send([write.parse('s', harmless), write.sync, ...described], 2);
  },
  'a Bind over a held cursor that is skipped': async (attacker) => {
    await attacker.query(`DECLARE c CURSOR WITH HOLD FOR ${hidden}`);
    await attacker.send([write.parse('s', harmless), write.sync]);
    const changed = [write.close('Portal', 'c'), bind('s', { portal: 'c' })];
    const behind = [write.execute('c', 0), write.sync];
    return attacker.send([...failing, ...changed, write.sync, ...behind], 2);
  },
  'FETCH behind a Bind over a held cursor': async (attacker) => {
    await attacker.query(`DECLARE c CURSOR WITH HOLD FOR ${hidden}`);
    await attacker.send([write.parse('s', harmless), write.sync]);
    const changed = [write.close('Portal', 'c'), bind('s', { portal: 'c' })];
    return attacker.send([...failing, ...changed, write.sync, write.query('FETCH ALL FROM c')], 2);
  },
  'an Execute that is skipped, of a FETCH': async (attacker) => {
    await attacker.query(`BEGIN; DECLARE c CURSOR FOR ${harmless}`);
    await attacker.send([
      write.parse('f', 'FETCH ALL FROM c'),
      bind('f', { portal: 'p' }),
      write.sync,
    ]);
    await attacker.query('SAVEPOINT before');
    await attacker.send([...failing, write.execute('p', 0), write.sync]);
    await attacker.query('ROLLBACK TO before');
    await attacker.query('CLOSE c');
    await attacker.query(`DECLARE c CURSOR FOR ${hidden}`);
    return attacker.send([write.execute('p', 0), write.sync]);
  },
};

describe.each(await installedVersions())('on PostgreSQL %i', (version) => {
  let lab: AttackLab;
  beforeAll(async () => {
    lab = await AttackLab.start({ version });
  }, 120_000);
  afterEach(() => lab.disconnect());
  afterAll(() => lab?.stop());

  test.each(Object.entries(attacks))('%s', async (_name, attack) => {
    const attacker = await lab.attacker();
    const { rows } = await attack(attacker);
    expect(leaks(attacker.seen)).toEqual([]);
    // The server went by what the name meant before, and so did its masks.
    expect(rows).toEqual([[expect.stringMatching(/^\*+0042$/)]]);
  });

  test('the name means the new statement where it was carried out', async () => {
    const attacker = await lab.attacker();
    await attacker.send([write.parse('s', hidden), write.sync]);
    const changed = [closeStatement('s'), write.parse('s', harmless)];
    const { rows } = await attacker.send([...changed, write.sync, ...executed('s')], 2);
    expect(rows).toEqual([['nothing']]);
  });
});
