import type { RefusalReason } from '@chaperone/core/policy/types.ts';
import { describe, expect, test } from '@jest/globals';
import { parseErrorFields } from '../messages/backend-reader.ts';
import { errorReport, type RefusalPhase, refusalResponse, refusalSqlstate } from './refusal.ts';
import { sqlstateMessages } from './sqlstate-messages.ts';

function fieldsOf(message: Buffer) {
  return Object.fromEntries(parseErrorFields(message, 5, message.length));
}

describe('refusalSqlstate', () => {
  const table: [RefusalReason, statement: string, login: string, end: string][] = [
    ['DefaultDeny', '42501', '28000', '57P01'],
    ['DeniedByRule', '42501', '28000', '57P01'],
    ['Unknown', '42501', '28000', '57P01'],
    ['ColumnNotAllowed', '42501', '28000', '57P01'],
    ['Masking', '42501', '28000', '57P01'],
    ['Usage', '42501', '28000', '57P01'],
    ['ApprovalRequired', '42501', '28000', '57P01'],
    ['Suspended', '42501', '28000', '57P01'],
    ['Expired', '42501', '28000', '57P01'],
    ['NoPolicy', '42501', '28000', '57P01'],
    ['Limit', '54000', '53300', '57P01'],
    ['StalePolicy', '53000', '57P03', '57P01'],
    ['Recorder', '53000', '57P03', '57P01'],
    ['Protocol', '08P01', '08P01', '08P01'],
    ['Internal', 'XX000', 'XX000', 'XX000'],
  ];
  test.each(table)('%s', (reason, statement, login, end) => {
    const phases: [RefusalPhase, string][] = [
      ['Statement', statement],
      ['Login', login],
      ['End', end],
    ];
    for (const [phase, sqlstate] of phases) {
      expect(refusalSqlstate(reason, phase)).toBe(sqlstate);
      expect(sqlstateMessages).toHaveProperty([sqlstate]);
    }
  });
});

test('a refusal of a statement leaves the connection usable, any other ends it', () => {
  const text = { message: 'no DELETE: policy p, rule r', hint: 'ask', position: 8 };
  expect(fieldsOf(refusalResponse('DeniedByRule', 'Statement', text))).toEqual({
    S: 'ERROR',
    V: 'ERROR',
    C: '42501',
    M: text.message,
    H: 'ask',
    P: '8',
  });
  expect(fieldsOf(refusalResponse('Suspended', 'End', text)).S).toBe('FATAL');
  expect(fieldsOf(refusalResponse('Suspended', 'Login', text)).S).toBe('FATAL');
});

test('a zero byte in a name ends neither field nor message', () => {
  const fields = fieldsOf(
    errorReport({
      severity: 'ERROR',
      sqlstate: '42501',
      message: 'a\0b',
      hint: 'c\0',
      detail: '\0',
    }),
  );
  expect(fields).toMatchObject({ M: 'a\u{fffd}b', H: 'c\u{fffd}', D: '\u{fffd}' });
});

test('warnings and notices are NoticeResponses', () => {
  const message = errorReport({ severity: 'WARNING', sqlstate: '01000', message: 'm' });
  expect(message.toString('latin1', 0, 1)).toBe('N');
});
