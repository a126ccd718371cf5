/**
 * Masked values keep their type and format (§13), and a detector finds what it looks for wherever a value is
 * cut by the network (§14).
 */
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { AttackLab, bind, canaries, labMasks, labPolicy, leaks } from '../support/attack-lab.ts';
import { identity, masking, type Resource } from '../support/chaperone.ts';
import { installedVersions } from '../support/postgres.ts';

/** Column type, one value that must not be seen, the type's length in binary (undefined: it varies). */
const types: readonly (readonly [string, string, number?])[] = [
  ['int2', '31337', 2],
  ['int4', '2147480047', 4],
  ['int8', '9223372036854770047', 8],
  ['float4', '-7.654321e+10', 4],
  ['float8', '-7.6543210987e+100', 8],
  ['numeric', '98765432109876543210.123456'],
  ['text', canaries.ssn],
  ['varchar(40)', canaries.ssn],
  ['char(25)', canaries.ssn],
  ['bytea', `\\x${Buffer.from(canaries.ssn).toString('hex')}`],
  ['date', '1987-11-23', 4],
  ['timestamp', '1987-11-23 12:34:56.789', 8],
  ['timestamptz', '1987-11-23 12:34:56.789+00', 8],
  ['time', '12:34:56.789', 8],
  ['uuid', 'deadbeef-dead-4bad-8bad-badcafe51234', 16],
  ['bool', 'true', 1],
  ['jsonb', `{"k": "${canaries.ssn}"}`],
  ['json', `{"k": "${canaries.ssn}"}`],
  ['text[]', `{${canaries.ssn}}`],
  ['inet', '203.0.113.77/32'],
  ['interval', '77 days', 16],
  ['money', '$77,777.77', 8],
  ['xml', `<a>${canaries.ssn}</a>`],
  ['tsvector', `'${canaries.ssn}'`],
  ['point', '(77.7,88.8)', 16],
  ['int4range', '[777,888)'],
  ['bit(8)', '10101010'],
  ['name', canaries.ssn],
];

const transforms: Readonly<Record<string, Resource>> = {
  Redact: { type: 'Redact' },
  Null: { type: 'Null' },
  Partial: { type: 'Partial', keepLast: 4 },
  Hash: { type: 'Hash' },
  Pseudonym: { type: 'Pseudonym' },
  Fixed: { type: 'Fixed', fixed: 'x' },
  Generalize: { type: 'Generalize', dateUnit: 'Year' },
};

const columnOf = (index: number): string => `c${index}`;
const createVault = `CREATE TABLE vault (id int, ${types.map(([type], index) => `${columnOf(index)} ${type}`).join(', ')})`;

describe.each(await installedVersions())('PostgreSQL %i', (version) => {
  describe('types', () => {
    let lab: AttackLab;
    beforeAll(async () => {
      lab = await AttackLab.start({
        version,
        setup: [
          createVault,
          `INSERT INTO vault VALUES (1, ${types.map(([, value]) => `'${value.replaceAll("'", "''")}'`).join(', ')})`,
          'INSERT INTO vault (id) VALUES (2)',
          `INSERT INTO vault (id, c6, c7) VALUES (3, '', ''), (4, 'é€😀é€😀é€😀', 'é'), (5, 'ab', 'a')`,
        ],
      });
    }, 60_000);
    afterEach(() => lab.disconnect());
    afterAll(() => lab?.stop());

    test.each(Object.keys(transforms))(
      '%s: hidden, and of the type’s own form in both formats',
      async (name) => {
        await lab.applyPolicy([
          labPolicy(),
          ...labMasks,
          masking('vault', { columns: ['shop.public.vault.c*'], transform: transforms[name]! }),
          identity(`marker-${name.toLowerCase()}`),
        ]);
        const attacker = await lab.attacker();
        const wrong: string[] = [];
        let delivered = 0;
        for (const [index, [type, value, length]] of types.entries()) {
          const sql = `SELECT ${columnOf(index)} FROM vault ORDER BY id`;
          for (const format of [0, 1] as const) {
            const answer = await attacker.send([
              write.parse('', sql),
              bind('', { resultFormats: [format] }),
              write.describe('Portal', ''),
              write.execute('', 0),
              write.sync,
            ]);
            if (answer.sqlstate !== undefined) {
              if (answer.fields.length > 0) wrong.push(`${type} ${format}: rows and an error`);
              if (answer.sqlstate !== '42501')
                wrong.push(`${type}: ${answer.sqlstate} ${answer.message}`);
              continue;
            }
            delivered += 1;
            const [field] = answer.fields[0]!;
            if (answer.fields[1]![0] !== null) wrong.push(`${type} ${format}: NULL became a value`);
            if (field === null || field === undefined) continue;
            const text = field.toString('utf8');
            if (text.includes('\ufffd') && format === 0)
              wrong.push(`${type}: cut within a character`);
            if (format === 0 && type !== 'bool' && text === value) wrong.push(`${type}: in clear`);
            if (format === 1 && length !== undefined && field.length !== length) {
              wrong.push(`${type}: ${field.length} bytes instead of ${length}`);
            }
            if (format === 0) {
              // The server itself takes it for a value of that type.
              await lab
                .behind(`SELECT $1::text::${type}`, [text])
                .catch((error: Error) => wrong.push(`${type}: ${text}: ${error.message}`));
            } else {
              const [same] = await sendBack(attacker, sql, type, field);
              if (same !== undefined) wrong.push(`${type} binary: ${same}`);
            }
          }
        }
        expect(wrong).toEqual([]);
        // A pseudonym's letters are as good as random, and four of them may be the value's by chance; five in
        // a row would be two parts.
        const parts = leaks(attacker.seen);
        expect(parts.length > 1 || name !== 'Pseudonym' ? parts : []).toEqual([]);
        expect(delivered).toBeGreaterThan(3);
      },
      60_000,
    );
  });

  describe('detectors', () => {
    let lab: AttackLab;
    beforeAll(async () => {
      lab = await AttackLab.start({
        version,
        setup: ['CREATE TABLE big (id int, note text, doc jsonb, raw json)'],
        resources: [
          labPolicy(),
          masking('cards', {
            detectors: ['PaymentCard'],
            resources: ['shop.public.**'],
            transform: { type: 'Partial', keepLast: 4 },
          }),
          identity('other'),
        ],
      });
    }, 60_000);
    afterEach(async () => {
      lab.disconnect();
      await lab.behind('TRUNCATE big');
    });
    afterAll(() => lab?.stop());

    const card = canaries.card;
    const spaced = '4012 8888 8888 1881';

    // The same code reads them whatever the server's version.
    const sizes = version >= 18 ? [1, 1000, 65_000, 65_530, 65_536, 131_060, 1_048_570] : [65_530];
    test.each(sizes)(
      'a card behind %i bytes, and around every place where a read may end',
      async (before) => {
        const texts = [0, 3, 7, 11, 15, 16].map(
          (shift) =>
            `${'x '.repeat((before - shift) / 2 + 8).slice(0, Math.max(0, before - shift))} ${shift % 2 ? card : spaced} ${'y '.repeat(50)}`,
        );
        for (const [index, note] of texts.entries()) {
          await lab.behind(
            'INSERT INTO big VALUES ($1, $2, jsonb_build_object($3::text, $2::text))',
            [index, note, 'k'],
          );
        }
        const attacker = await lab.attacker();
        for (const sql of [
          'SELECT note FROM big',
          'SELECT doc FROM big',
          'SELECT note, doc FROM big',
          'COPY big TO STDOUT',
          'COPY big TO STDOUT (FORMAT csv)',
        ]) {
          const answer = await attacker.query(sql);
          expect(answer.sqlstate).toBeUndefined();
          const seen = attacker.takeSeen();
          expect(leaks(seen)).toEqual([]);
          expect(seen.includes('4012 8888 88')).toBe(false);
          expect(seen.includes('1881')).toBe(true);
          const binary = await attacker.extended(sql.startsWith('COPY') ? 'SELECT 1' : sql, {
            resultFormats: [1],
          });
          expect(binary.sqlstate).toBeUndefined();
          expect(leaks(attacker.takeSeen())).toEqual([]);
        }
      },
      120_000,
    );

    test('odd documents and texts', async () => {
      const values = [
        `{"a": {"b": ["${card}", {"c": "${spaced}"}]}}`,
        `{"${card}": 1}`,
        `{"n": ${card}}`,
        `{"n": -${card}.5}`,
        `{"n": ${card}e0}`,
        `{"__proto__": {"x": "${card}"}, "constructor": "${card}"}`,
        `["\\u0034012888888881881"]`,
        `"${card}"`,
        `{"a": "x${'\\n'}${card}"}`,
      ];
      for (const [index, value] of values.entries()) {
        // In text, and in json, which keeps its text, escapes are only characters to the detectors.
        const asText = value.includes('\\u') ? null : value;
        const sql = 'INSERT INTO big VALUES ($1, $2, $3::text::jsonb, $2::text::json)';
        await lab.behind(sql, [index, asText, value]);
      }
      for (const note of [
        `4012-8888-8888-1881`,
        `no:${card},`,
        `(${card})`,
        `${card}\t${card}`,
        `ü${card}ü`,
        `=${card}=`,
      ]) {
        await lab.behind('INSERT INTO big VALUES (100, $1, null)', [note]);
      }
      const attacker = await lab.attacker();
      for (const sql of [
        'SELECT doc FROM big',
        'SELECT note FROM big',
        'SELECT raw FROM big',
        "SELECT doc -> 'a' FROM big",
        'COPY big TO STDOUT',
      ]) {
        await attacker.query(sql);
        await attacker.extended(sql, { resultFormats: [1] });
      }
      const seen = attacker.seen;
      expect(leaks(seen)).toEqual([]);
      expect(seen.includes('4012-8888-8')).toBe(false);
    });

    test('texts made to make a pattern slow are scanned in time that grows with them (§26)', async () => {
      const texts = [
        '4',
        '4012 ',
        '4-',
        'a@',
        'a.',
        '@',
        '.com',
        '0',
        '4012888888881882 ',
        'DE00',
        '🂡',
        '- ',
      ].map((part) => part.repeat(Math.ceil(400_000 / part.length)));
      for (const [index, note] of texts.entries()) {
        await lab.behind('INSERT INTO big VALUES ($1, $2, null)', [index, note]);
      }
      const attacker = await lab.attacker();
      const other = await lab.attacker({}, 'other');
      const [long, short] = await Promise.all([
        attacker.query('SELECT id, note FROM big'),
        other.query('SELECT 7'),
      ]);
      expect([long.rows.length, short.rows]).toEqual([texts.length, [['7']]]);
    }, 180_000);
  });
});

/** Binary input of the masked field by the server: undefined when it takes it. */
async function sendBack(
  attacker: Awaited<ReturnType<AttackLab['attacker']>>,
  _sql: string,
  type: string,
  field: Buffer,
): Promise<(string | undefined)[]> {
  const answer = await attacker.send([
    write.parse('', `SELECT $1::${type} IS NULL`),
    write.bind({
      portal: '',
      statement: '',
      parameterFormats: [1],
      parameters: [field],
      resultFormats: [],
    }),
    write.execute('', 0),
    write.sync,
  ]);
  return [
    answer.sqlstate === '42501'
      ? undefined
      : answer.sqlstate && `${answer.sqlstate} ${answer.message}`,
  ];
}
