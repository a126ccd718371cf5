/** More than a session should keep: names, texts, and messages without an answer. */
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { AttackLab } from '../support/attack-lab.ts';

const longText = `SELECT 1 -- ${'x'.repeat(900_000)}`;

describe('floods', () => {
  let lab: AttackLab;
  beforeAll(async () => {
    lab = await AttackLab.start();
  });
  afterAll(() => lab?.stop());

  test('prepared names end at a number, and room can be made', async () => {
    const attacker = await lab.attacker();
    const parses = Array.from({ length: 10_001 }, (_, index) => write.parse(`s${index}`, 'SELECT'));
    const answer = await attacker.send([...parses, write.sync]);
    expect(answer.messages.filter(({ type }) => type === '1')).toHaveLength(10_000);
    expect(answer.sqlstate).toBe('54000');
    expect((await attacker.query('PREPARE more AS SELECT 1')).sqlstate).toBe('54000');
    expect((await attacker.extended('PREPARE more AS SELECT 1')).sqlstate).toBe('54000');
    expect((await attacker.query('DEALLOCATE ALL')).sqlstate).toBeUndefined();
    expect((await attacker.query('PREPARE more AS SELECT 1')).sqlstate).toBeUndefined();
  });

  test('texts of prepared names end at a size', async () => {
    const attacker = await lab.attacker();
    const parses = Array.from({ length: 20 }, (_, index) => write.parse(`s${index}`, longText));
    const answer = await attacker.send([...parses, write.sync]);
    expect(answer.messages.filter(({ type }) => type === '1')).toHaveLength(19);
    expect(answer.sqlstate).toBe('54000');
  });

  test('a long pipeline of unnamed statements waits, and ends well', async () => {
    const attacker = await lab.attacker();
    const parses = Array.from({ length: 30 }, () => write.parse('', longText));
    const answer = await attacker.send([...parses, write.sync]);
    expect(answer.types).toBe(`${'1'.repeat(30)}Z`);
  });

  test('tens of thousands of messages without a Sync wait, and are all answered', async () => {
    const attacker = await lab.attacker();
    const closes = Array.from({ length: 20_000 }, () => write.parse('', 'SELECT'));
    const answer = await attacker.send([...closes, write.sync]);
    expect(answer.types).toBe(`${'1'.repeat(20_000)}Z`);
  });
});
