import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseErrorFields } from '../messages/backend-reader.ts';
import { errorResponse, noticeResponse } from '../messages/backend-writer.ts';
import { rebuildReport } from './rebuild.ts';
import { sqlstateMessages } from './sqlstate-messages.ts';

function rebuilt(fields: Record<string, string>, userCode = false, isError = true) {
  const map = new Map(Object.entries(fields));
  const message = rebuildReport(isError ? errorResponse(map) : noticeResponse(map), { userCode });
  expect(message[0]).toBe((isError ? 'E' : 'N').charCodeAt(0));
  return Object.fromEntries(parseErrorFields(message, 5, message.length));
}

const all = 'SVCMDHPpqWstcdnFLR';

describe('rebuildReport', () => {
  test('keeps severity, SQLSTATE, position and names, and says it in our words', () => {
    const fields = rebuilt({
      S: 'FEHLER',
      V: 'ERROR',
      C: '23505',
      M: 'doppelter Schlüsselwert',
      D: 'Key (ssn)=(123-45-6789) already exists.',
      H: 'h 123-45-6789',
      P: '17',
      p: '4',
      q: "select '123-45-6789'",
      W: 'PL/pgSQL function f(123-45-6789)',
      s: 'public',
      t: 'customers',
      n: 'customers_ssn_key',
      F: 'nbtinsert.c',
      L: '666',
      R: '_bt_check_unique',
    });
    expect(fields).toEqual({
      S: 'ERROR',
      V: 'ERROR',
      C: '23505',
      M: 'duplicate key value violates unique constraint "customers_ssn_key"',
      P: '17',
      s: 'public',
      t: 'customers',
      n: 'customers_ssn_key',
    });
  });

  test.each([...all])('a canary in field %s does not come through where data can stand', (code) => {
    const canary = 'CANARY-4111111111111111-CANARY';
    for (const isError of [true, false]) {
      for (const userCode of [true, false]) {
        const isName = 'stcdn'.includes(code);
        if (isName && !userCode) continue; // names of the catalog: kept
        const fields = rebuilt(
          { V: 'ERROR', C: 'XX000', M: 'm', [code]: canary },
          userCode,
          isError,
        );
        expect(JSON.stringify(fields)).not.toContain('CANARY');
      }
    }
  });

  test('canaries in all fields at once, with every SQLSTATE', () => {
    for (const sqlstate of [...Object.keys(sqlstateMessages), 'ZZ123', '42ABC', '', '💥']) {
      const fields = Object.fromEntries([...all].map((code) => [code, `canary ${code}`]));
      const result = rebuilt({ ...fields, C: sqlstate }, true);
      expect(JSON.stringify(result)).not.toContain('canary');
      expect(result.C).toMatch(/^[0-9A-Z]{5}$/);
      expect(result.M).not.toBe('');
    }
  });

  test('a SQLSTATE that RAISE made of data is not kept', () => {
    expect(rebuilt({ C: '41111' }, true).C).toBe('P0001');
    expect(rebuilt({ C: '41111' }, true, false).C).toBe('01000');
    expect(rebuilt({ C: '41111' }, false).C).toBe('41111');
  });

  test.each(['', '0', '-1', '1e9', '12345678901', '1 canary', '٣'])(
    'a position of “%s” is none',
    (position) => {
      expect(rebuilt({ C: '42601', P: position })).not.toHaveProperty('P');
    },
  );

  test('a name longer than a name can be is none', () => {
    const fields = rebuilt({ C: '23505', n: 'x'.repeat(64), t: 'x'.repeat(63) });
    expect(fields).not.toHaveProperty('n');
    expect(fields.t).toBe('x'.repeat(63));
  });

  test('the routine that pgjdbc looks for, and no other', () => {
    expect(rebuilt({ C: '0A000', R: 'RevalidateCachedQuery' }).R).toBe('RevalidateCachedQuery');
    expect(rebuilt({ C: '0A000', R: 'other' })).not.toHaveProperty('R');
  });

  test('a notice stays a notice and an error an error, whatever the severity says', () => {
    expect(rebuilt({ V: 'FATAL', C: '00000' }, false, false)).toMatchObject({ S: 'NOTICE' });
    expect(rebuilt({ V: 'WARNING', C: '01000' }, false, false)).toMatchObject({ S: 'WARNING' });
    expect(rebuilt({ V: 'NOTICE', C: 'XX000' })).toMatchObject({ S: 'ERROR', V: 'ERROR' });
    expect(rebuilt({ V: 'FATAL', C: '57P01' })).toMatchObject({ S: 'FATAL', V: 'FATAL' });
  });

  test('whatever fields come, the result has the four that every client needs', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom(...all),
          fc.string().map((text) => text.replaceAll('\0', '')),
        ),
        fc.boolean(),
        (fields, userCode) => {
          const result = rebuilt(fields, userCode);
          expect(result).toMatchObject({
            S: expect.any(String),
            V: expect.any(String),
            C: expect.stringMatching(/^[0-9A-Z]{5}$/),
            M: expect.any(String),
          });
        },
      ),
    );
  });
});
