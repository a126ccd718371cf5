/** That the fault tests would see what they look for. Needs no cluster. */
import { describe, expect, test } from '@jest/globals';
import type { RecordedView } from '../support/record.ts';
import { ofAnswers, ofDatabase, ofRecord } from './contradictions.ts';
import { RecordedLoad } from './recorded-load.ts';
import { type StatementEntry, Tally } from './tally.ts';

const base = { worker: 'keeps-1', sentAt: 1_000, at: 1_010 };
const insert: StatementEntry = { ...base, number: 0, kind: 'Insert', outcome: 'Done' };
const masked: StatementEntry = {
  ...base,
  number: 1,
  kind: 'Masked',
  outcome: 'Done',
  value: '*******0002',
};
const write: StatementEntry = { ...base, number: 4, kind: 'Write', outcome: 'Refused' };
const tallyOf = (...entries: readonly StatementEntry[]): Tally =>
  new Tally(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
const tally = tallyOf(insert, masked, write);

const session = 'one';
const at = (ms: number): string => `${new Date(ms).toISOString().slice(0, 23)}000Z`;
let ids = 0;
const view = (seq: number, event: object, statement?: string): RecordedView => ({
  event: { id: `id-${ids++}`, session, seq, time: at(1_005), ...event },
  parts: statement === undefined ? {} : { statement: { state: 'Kept', content: statement } },
});
const views: readonly RecordedView[] = [
  view(1, { type: 'SessionOpened' }),
  view(2, { type: 'OperationDecided', verdict: 'Allow' }, 'INSERT INTO orders AS s0'),
  view(3, { type: 'OperationCompleted', decision: 2 }),
  view(4, { type: 'OperationDecided', verdict: 'Allow' }, 'SELECT ssn AS s1'),
  view(5, { type: 'OperationCompleted', decision: 4 }),
  view(6, { type: 'OperationDecided', verdict: 'Deny' }, 'UPDATE customers AS s4'),
  view(7, { type: 'SessionClosed' }),
];
const inserted = new Map([[0, 1_006_000]]);
const recorded = (
  events: readonly RecordedView[],
  counted = tally,
  rows: ReadonlyMap<number, number> = inserted,
  cutOff = 0,
  spoolLost = false,
): string[] => ofRecord(counted, new RecordedLoad(events), rows, { cutOff, spoolLost });
const but = (at: number, event: object): RecordedView[] =>
  views.map((view, index) =>
    index === at ? { ...view, event: { ...view.event, ...event } } : view,
  );

test('what agrees has no contradictions', () => {
  expect(ofAnswers(tally)).toEqual([]);
  expect(ofDatabase(tally, inserted, [])).toEqual([]);
  expect(recorded(views)).toEqual([]);
});

test('a line that is being written is left out', () => {
  expect(new Tally(`${JSON.stringify(insert)}\n{"number":`).entries).toEqual([insert]);
});

test('answers that should not be', () => {
  expect(ofAnswers(tallyOf({ ...masked, value: '123-45-6789' }))).toEqual([
    'Masked 1 was answered in clear',
  ]);
  expect(ofAnswers(tallyOf({ ...write, outcome: 'Done' }))).toEqual(['Write 4 was carried out']);
});

test('rows that should not be, or are not', () => {
  expect(ofDatabase(tally, new Map(), ['s4'])).toEqual([
    'Insert 0 was acknowledged and is not in the database',
    'Write s4 reached the database',
  ]);
  expect(ofDatabase(tallyOf({ ...insert, outcome: 'Refused' }), inserted, [])).toEqual([
    'Insert 0 is in the database and was not asked for',
  ]);
});

describe('a record that', () => {
  test.each<[string, readonly RecordedView[], string[]]>([
    ['lacks a decision', views.toSpliced(1, 1), ['Insert 0, Done, has 0 decisions on record']],
    [
      'has a decision twice',
      [...views.slice(0, 6), view(7, views[1]!.event, 'INSERT INTO orders AS s0')],
      ['Insert 0, Done, has 2 decisions on record'],
    ],
    ['says otherwise', but(3, { verdict: 'Deny' }), ['Masked 1, Done, is on record as Deny']],
    ['lacks an end', but(4, { decision: 9 }), ['Masked 1 has 0 ends on record']],
    [
      'is later than the database',
      but(1, { time: at(1_007) }),
      ['Insert 0 was in the database before its decision was on record'],
    ],
    ['has a gap', views.toSpliced(0, 1), ['session one has event 2 for 1']],
    [
      'has an event twice',
      but(6, { id: views[5]!.event.id }),
      ['events of the same id are on record'],
    ],
    ['lacks the end of the session', views.slice(0, 6), ['sessions without an end: one']],
    [
      'knows of what nobody asked',
      [
        ...views.slice(0, 6),
        view(7, views[5]!.event, 'SELECT 1 AS s9'),
        view(8, { type: 'SessionClosed' }),
      ],
      ['9 was decided and not asked for'],
    ],
  ])('%s', (_title, events, contradictions) => {
    expect(recorded(events)).toEqual(expect.arrayContaining(contradictions));
  });
});

test('a statement is refused although it was allowed only if it was cut', () => {
  const counted = tallyOf(insert, { ...masked, outcome: 'Refused' }, write);
  expect(recorded(views, counted)).toEqual(['Masked 1, Refused, is on record as Allow']);
  expect(recorded(but(4, { outcome: 'Cut' }), counted)).toEqual([]);
});

describe('a statement whose connection broke', () => {
  const broken = tallyOf({ ...insert, outcome: 'Broken' });

  test('may have come nowhere, or as far as its decision', () => {
    expect(recorded([views[0]!], broken, new Map(), 1)).toEqual([]);
    expect(recorded(views.slice(0, 2), broken, new Map(), 1)).toEqual([]);
    expect(recorded(views.slice(0, 2), broken, inserted, 1)).toEqual([]);
  });

  test('has its decision on record if it ran', () => {
    expect(recorded([views[0]!], broken, inserted, 1)).toEqual([
      'Insert 0, Broken, has 0 decisions on record',
    ]);
  });
});

test('only the last statement of a session that was cut off may lack its end', () => {
  const counted = tallyOf(insert, masked);
  expect(recorded(views.slice(0, 4), counted, inserted, 1)).toEqual([]);
  const [opened, decided, , ...others] = views.slice(0, 5);
  expect(recorded([opened!, decided!, ...others], counted, inserted, 1)).toEqual(
    expect.arrayContaining(['Insert 0 has 0 ends on record']),
  );
});

test('with its spool, a sidecar may lose refusals, but none that something allowed came after', () => {
  const lost = [view(1, { type: 'SessionOpened' })];
  const broken = { ...insert, number: 5, outcome: 'Broken' } as const;
  const done = { ...masked, number: 6 };
  const gone = 'Write 4, Refused, has 0 decisions on record';
  expect(recorded(lost, tallyOf(write, broken), new Map(), 1, true)).toEqual([]);
  expect(recorded(lost, tallyOf(write, broken), new Map(), 1)).toEqual([gone]);
  expect(recorded(lost, tallyOf(write, done, broken), new Map(), 1, true)).toContain(gone);
});
