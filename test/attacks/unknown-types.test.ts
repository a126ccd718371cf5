/** A protected value whose result type the analysis does not know: its bytes are not taken for text. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Attacker, AttackLab, labPolicy } from '../support/attack-lab.ts';
import { masking } from '../support/chaperone.ts';

const secret = 1_234_567_890_123_456n;
const digits = secret.toString();
const bytes = Buffer.alloc(8);
bytes.writeBigInt64BE(secret);

const untyped: readonly string[] = [
  'SELECT coalesce(ssn, 0) FROM numbers',
  'SELECT CASE WHEN id > 0 THEN ssn ELSE 0 END FROM numbers',
  'SELECT coalesce(ssn, 0) FROM numbers UNION ALL SELECT id FROM numbers',
];

describe('results of unknown type', () => {
  let lab: AttackLab;
  let attacker: Attacker;

  beforeAll(async () => {
    lab = await AttackLab.start({
      setup: [
        'CREATE TABLE numbers (id int, ssn bigint, hint bigint)',
        `INSERT INTO numbers VALUES (1, ${digits}, ${digits})`,
      ],
      resources: [
        labPolicy(),
        masking('ssn', {
          columns: ['shop.public.numbers.ssn'],
          transform: { type: 'Partial', keepLast: 4 },
        }),
        masking('hint', {
          columns: ['shop.public.numbers.hint'],
          transform: { type: 'Partial', keepLast: 4 },
          strictness: 'BestEffort',
        }),
      ],
    });
    attacker = await lab.attacker();
  });
  afterAll(() => lab?.stop());

  const hidden = (seen: Buffer): void => {
    expect(seen.includes(bytes.subarray(4))).toBe(false);
    expect(seen.includes(digits.slice(0, -4))).toBe(false);
  };

  for (const format of [0, 1] as const) {
    for (const describe of [false, true]) {
      test.each(untyped)(`format ${format}, Describe ${describe}: %s`, async (text) => {
        const answer = await attacker.extended(text, { resultFormats: [format], describe });
        hidden(answer.bytes);
        expect(answer.fields).toEqual([]);
        expect(answer.sqlstate).toBe('42501');
        expect(answer.errors[0]?.get('H')).toContain('Cast');
      });
    }
    test(`format ${format}: NULL where the rule does its best`, async () => {
      const answer = await attacker.extended('SELECT coalesce(hint, 0) FROM numbers', {
        resultFormats: [format],
      });
      hidden(answer.bytes);
      expect(answer.rows).toEqual([[null]]);
    });
  }

  test.each(untyped)('a simple Query is masked by its description: %s', async (text) => {
    const answer = await attacker.query(text);
    hidden(answer.bytes);
    expect(answer.sqlstate).toBeUndefined();
    expect(answer.rows.length).toBeGreaterThan(0);
  });

  test('a COPY has no types', async () => {
    const answer = await attacker.query('COPY (SELECT coalesce(ssn, 0) FROM numbers) TO STDOUT');
    hidden(answer.bytes);
    expect(answer.sqlstate).toBe('42501');
  });

  test('a cast of what stands beside it makes the type known', async () => {
    const answer = await attacker.extended('SELECT coalesce(ssn, 0::bigint) FROM numbers', {
      resultFormats: [1],
    });
    hidden(answer.bytes);
    expect(answer.fields[0]?.[0]?.readBigInt64BE()).toBe(secret % 10_000n);
  });
});
