import type { ShippedEvent } from '@chaperone/runtime/recorder/transport.ts';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseBatch } from '../ingest/batch.ts';
import { defaultIngestLimits } from '../ingest/limits.ts';
import { bodies, ndjson, shipped, startUs, uuid } from '../testing/events.ts';
import type { AppendResult, EventFilter, PageRequest, ReadScope, Store } from './types.ts';
import { ForeignSessionError } from './types.ts';

const all: ReadScope = { payloads: true };
const result = (session: string, seq: number): ShippedEvent =>
  shipped(session, seq, bodies.completed(1), { result: 'cm93cw==' });
const page: PageRequest = { order: 'oldest', limit: 100, maxBytes: 1 << 20 };
const A = uuid(1);
const B = uuid(2);

function append(
  store: Store,
  session: string,
  events: readonly ShippedEvent[],
  source = 'one',
  receivedMs = 1000,
): Promise<AppendResult> {
  const checked = parseBatch(ndjson(events), session, defaultIngestLimits);
  return store.append({ source, session, receivedMs, events: checked });
}

/** Everything a store says of itself, but for the order in which things came. */
async function tally(store: Store): Promise<unknown> {
  const sessions = await store.sessions({}, all, page);
  const events = [];
  for (const { id } of sessions.items) {
    const found = await store.events({ session: id }, all, page);
    for (const { session, seq, line, parts } of found.items) {
      events.push({ session, seq, line, parts });
    }
  }
  return { sessions: sessions.items, events, integrity: await store.integrity(100) };
}

async function seqs(store: Store, filter: EventFilter, scope = all): Promise<number[]> {
  return (await store.events(filter, scope, page)).items.map(({ seq }) => seq);
}

/** What every Store does. `open`: an empty store; `close` of it is called by the test. */
export function storeContract(open: () => Promise<Store>): void {
  async function withStore<Result>(use: (store: Store) => Promise<Result>): Promise<Result> {
    const store = await open();
    try {
      return await use(store);
    } finally {
      await store.close();
    }
  }
  const testStore = (name: string, use: (store: Store) => Promise<void>) =>
    test(name, () => withStore(use));

  describe('append', () => {
    testStore('keeps the exact line, its parts and their salts', async (store) => {
      const salt = Buffer.alloc(16, 7);
      const text = "select 'Grüße\u0000\u2028😀'";
      const event = shipped(
        A,
        1,
        bodies.decided(),
        { statement: text, parameters: '["1",null]' },
        salt,
      );
      expect(await append(store, A, [event])).toMatchObject({ acknowledged: 1, stored: 1 });
      const [found] = (await store.events({}, all, page)).items;
      expect(found?.line).toBe(event.line);
      expect(found?.receivedMs).toBe(1000);
      expect(found?.parts.statement).toMatchObject({ state: 'Kept', content: text });
      expect(found?.parts.parameters).toMatchObject({ state: 'Kept', content: '["1",null]' });
      const kept = found?.parts.statement;
      expect(kept?.state === 'Kept' && Buffer.from(kept.salt)).toEqual(salt);
    });

    testStore('acknowledges an identical duplicate and keeps one', async (store) => {
      const events = [shipped(A, 1, bodies.opened()), shipped(A, 2, bodies.decided())];
      await append(store, A, events);
      const before = await tally(store);
      expect(await append(store, A, [...events, ...events])).toEqual({
        acknowledged: 2,
        stored: 0,
        duplicates: 4,
        alerts: [],
      });
      expect(await tally(store)).toEqual(before);
    });

    testStore('keeps both of two that contradict, and says so once', async (store) => {
      const first = shipped(A, 1, bodies.decided('Deny'), { statement: 'first' });
      const second = shipped(A, 1, bodies.decided('Allow'), { statement: 'second' });
      await append(store, A, [first]);
      const result = await append(store, A, [second]);
      expect(result).toMatchObject({ acknowledged: 1, stored: 0, duplicates: 0 });
      expect(result.alerts).toMatchObject([{ kind: 'Contradiction', session: A, fromSeq: 1 }]);
      expect((await append(store, A, [second])).alerts).toEqual([]);
      expect((await store.alerts(10)).map(({ line }) => line)).toEqual([second.line]);
      const [kept] = (await store.events({}, all, page)).items;
      expect(kept?.line).toBe(first.line);
      expect(await seqs(store, { text: 'first' })).toEqual([1]);
      expect(await seqs(store, { text: 'second' })).toEqual([]);
    });

    testStore('acknowledges only the unbroken run, and keeps the rest', async (store) => {
      const event = (seq: number) => shipped(A, seq, bodies.decided());
      expect((await append(store, A, [event(2)])).acknowledged).toBe(0);
      expect((await append(store, A, [event(4), event(5)])).acknowledged).toBe(0);
      expect((await append(store, A, [event(1)])).acknowledged).toBe(2);
      expect((await store.integrity(10))[0]?.missing).toEqual([
        { session: A, from: 3, to: 3, state: 'Awaited' },
      ]);
      expect((await append(store, A, [event(3)])).acknowledged).toBe(5);
      expect((await store.integrity(10))[0]?.missing).toEqual([]);
    });

    testStore(
      'goes past what the recorder says is lost, and keeps that as an alert',
      async (store) => {
        await append(store, A, [shipped(A, 1, bodies.opened()), shipped(A, 5, bodies.decided())]);
        const gap = { type: 'RecordGap', ofSession: A, from: 2, to: 4, reason: 'damaged' } as const;
        const { alerts } = await append(store, B, [shipped(B, 1, gap)]);
        expect(alerts).toMatchObject([{ kind: 'AnnouncedGap', session: A, fromSeq: 2, toSeq: 4 }]);
        expect(await store.session(A, all)).toMatchObject({ acknowledged: 5 });
        expect((await store.integrity(10))[0]?.missing).toEqual([
          { session: A, from: 2, to: 4, state: 'Announced' },
        ]);
        await append(store, A, [shipped(A, 3, bodies.decided())]);
        expect((await store.integrity(10))[0]?.missing).toMatchObject([
          { from: 2, to: 2 },
          { from: 4, to: 4 },
        ]);
      },
    );

    testStore('a session belongs to the source that shipped it first', async (store) => {
      await append(store, A, [shipped(A, 1, bodies.opened())]);
      await expect(append(store, A, [shipped(A, 2, bodies.decided())], 'two')).rejects.toThrow(
        ForeignSessionError,
      );
      expect(await seqs(store, {})).toEqual([1]);
      for (const body of [
        bodies.heartbeat({ [A]: 9 }),
        { type: 'RecordGap', ofSession: A, from: 2, to: 9, reason: 'none' } as const,
      ]) {
        const session = body.type === 'RecordGap' ? uuid(8) : uuid(9);
        const { alerts } = await append(store, session, [shipped(session, 1, body)], 'two');
        expect(alerts).toMatchObject([{ kind: 'ForeignSession', source: 'two', session: A }]);
      }
      expect(await store.session(A, all)).toMatchObject({ acknowledged: 1, known: 1 });
    });

    testStore('a batch that fails leaves nothing, and others beside it are kept', async (store) => {
      await append(store, A, [shipped(A, 1, bodies.opened())]);
      const [bad, good] = await Promise.allSettled([
        append(store, A, [shipped(A, 2, bodies.decided())], 'two'),
        append(store, B, [shipped(B, 1, bodies.opened())]),
      ]);
      expect([bad.status, good.status]).toEqual(['rejected', 'fulfilled']);
      expect(await seqs(store, { session: A })).toEqual([1]);
      expect(await seqs(store, { session: B })).toEqual([1]);
    });

    testStore('says when events come beyond the last one', async (store) => {
      await append(store, A, [shipped(A, 1, bodies.opened()), shipped(A, 2, bodies.closed(2))]);
      const { alerts } = await append(store, A, [shipped(A, 3, bodies.decided())]);
      expect(alerts).toMatchObject([{ kind: 'AfterClose', session: A, fromSeq: 3, toSeq: 3 }]);
    });

    test('any order, cutting and duplication of batches gives the same store', async () => {
      const events: readonly (readonly [string, ShippedEvent])[] = [
        [A, shipped(A, 1, bodies.opened())],
        [A, shipped(A, 2, bodies.decided(), { statement: 'select 1' })],
        [A, shipped(A, 3, bodies.completed(2, ['a'.repeat(64)]))],
        [A, shipped(A, 4, { type: 'RecordGap', from: 5, to: 6, reason: 'full' })],
        [A, shipped(A, 7, bodies.closed(7))],
        [B, shipped(B, 1, bodies.heartbeat({ [A]: 3, [uuid(3)]: 2 }))],
        [B, shipped(B, 2, bodies.decided('Deny'), { statement: 'drop table t' })],
      ];
      const expected = await withStore(async (store) => {
        for (const [session, event] of events) await append(store, session, [event]);
        return tally(store);
      });
      const order = fc
        .shuffledSubarray([...events.keys()], { minLength: events.length })
        .chain((whole) => fc.tuple(fc.constant(whole), fc.array(fc.constantFrom(...whole))));
      await fc.assert(
        fc.asyncProperty(order, fc.array(fc.boolean()), async ([whole, again], together) => {
          await withStore(async (store) => {
            const queue = [...again, ...whole].map((at) => events[at]!);
            for (let at = 0; at < queue.length; at += 1) {
              const [session, event] = queue[at]!;
              const batch = [event];
              while (together[at] && queue[at + 1]?.[0] === session) batch.push(queue[++at]![1]);
              await append(store, session, batch);
            }
            expect(await tally(store)).toEqual(expected);
          });
        }),
        { numRuns: 30 },
      );
    });
  });

  describe('gaps', () => {
    testStore('what stays missing is an alert once, and is then given up', async (store) => {
      const event = (seq: number) => shipped(A, seq, bodies.decided());
      await append(store, A, [event(1), event(4), event(7)], 'one', 1000);
      expect(await store.raiseGapAlerts(999, 5000)).toEqual([]);
      expect(await store.session(A, all)).toMatchObject({ acknowledged: 1 });
      expect(await store.raiseGapAlerts(1000, 5000)).toMatchObject([
        { kind: 'Gap', fromSeq: 2, toSeq: 3 },
        { kind: 'Gap', fromSeq: 5, toSeq: 6 },
      ]);
      expect(await store.raiseGapAlerts(9000, 9000)).toEqual([]);
      expect(await store.session(A, all)).toMatchObject({ acknowledged: 7 });
      expect((await store.integrity(10))[0]?.missing).toMatchObject([
        { from: 2, to: 3, state: 'Lost' },
        { from: 5, to: 6, state: 'Lost' },
      ]);
      expect((await append(store, A, [event(2)])).stored).toBe(1);
    });

    testStore('a session that is withheld, or its tail, shows by heartbeats', async (store) => {
      await append(store, B, [
        shipped(B, 1, bodies.opened()),
        shipped(B, 2, bodies.heartbeat({ [A]: 3, [uuid(3)]: 5 })),
      ]);
      await append(store, A, [shipped(A, 1, bodies.opened())]);
      const [source] = await store.integrity(10);
      expect(source).toMatchObject({
        sessions: 3,
        missing: [
          { session: A, from: 2, to: 3, state: 'Awaited' },
          { session: uuid(3), from: 1, to: 5, state: 'Awaited' },
        ],
      });
      expect(await store.raiseGapAlerts(1000, 5000)).toMatchObject([
        { session: A, fromSeq: 2, toSeq: 3 },
        { session: uuid(3), fromSeq: 1, toSeq: 5 },
      ]);
      expect(await store.session(A, all)).toMatchObject({ acknowledged: 1, known: 3 });
    });

    testStore('complete up to the last heartbeat, or to what is missing', async (store) => {
      await append(store, B, [shipped(B, 1, bodies.heartbeat({ [A]: 2 }))]);
      await append(store, A, [
        shipped(A, 1, bodies.opened()),
        shipped(A, 2, bodies.decided()),
        shipped(A, 3, bodies.decided()),
      ]);
      expect((await store.integrity(10))[0]?.completeUpToUs).toBe(startUs + 1_000_000);
      await append(store, B, [shipped(B, 9, bodies.heartbeat({ [A]: 5 }))]);
      expect((await store.integrity(10))[0]?.completeUpToUs).toBe(startUs + 1_000_000);
      for (let seq = 2; seq < 9; seq += 1) {
        await append(store, B, [shipped(B, seq, bodies.decided())]);
      }
      expect((await store.integrity(10))[0]?.completeUpToUs).toBe(startUs + 3_000_000);
      await append(store, A, [shipped(A, 4, bodies.decided()), shipped(A, 5, bodies.decided())]);
      expect((await store.integrity(10))[0]?.completeUpToUs).toBe(startUs + 9_000_000);
    });
  });

  describe('questions', () => {
    const orders = ['shop', 'public', 'orders'];
    const customers = ['shop', 'public', 'customers'];
    async function filled(store: Store) {
      await append(store, A, [
        shipped(A, 1, bodies.opened()),
        shipped(A, 2, bodies.decided('Allow', orders), { statement: 'select id from order_items' }),
        shipped(A, 3, bodies.decided('Deny', customers, 'Delete', 'lock'), {
          statement: 'delete from customers',
        }),
      ]);
      await append(store, B, [
        shipped(B, 11, bodies.opened('fraud', 'risk', 'crm')),
        shipped(B, 12, bodies.decided('Deny', ['crm', 'public', 'a.b']), { statement: 'select 1' }),
      ]);
    }
    const cases: readonly (readonly [string, EventFilter, readonly number[]])[] = [
      ['everything, by time', {}, [1, 2, 3, 11, 12]],
      ['from', { fromUs: startUs + 3_000_000 }, [3, 11, 12]],
      ['to, exclusive', { toUs: startUs + 3_000_000 }, [1, 2]],
      ['identity', { identity: { name: 'fraud' } }, [11, 12]],
      ['identity of a namespace', { identity: { namespace: 'other', name: 'fraud' } }, []],
      ['owner', { owner: 'payments' }, [1, 2, 3]],
      ['target', { target: { namespace: 'data', name: 'crm' } }, [11, 12]],
      ['verdict', { verdict: 'Deny' }, [3, 12]],
      ['type', { type: 'SessionOpened' }, [1, 11]],
      ['verb', { verb: 'Delete' }, [3]],
      ['resource', { resource: 'shop.public.orders' }, [2]],
      ['resource with *', { resource: 'shop.*.c*s' }, [3]],
      ['resource with **', { resource: 'shop.**' }, [2, 3]],
      [
        'verb and resource of one operation',
        { verb: 'Delete', resource: 'shop.public.orders' },
        [],
      ],
      ['rule by object', { rule: { object: 'lock' } }, [3]],
      ['rule in full', { rule: { namespace: 'data', object: 'reports', rule: 'r' } }, [2, 12]],
      ['rule elsewhere', { rule: { namespace: 'x', object: 'reports' } }, []],
      ['words', { text: 'select order_items' }, [2]],
      ['the beginning of a word', { text: 'custom*' }, [3]],
      ['words that are search syntax', { text: 'select OR delete "' }, []],
      ['session', { session: A }, [1, 2, 3]],
      ['all together', { owner: 'risk', verdict: 'Deny', text: 'select', verb: 'Select' }, [12]],
    ];
    test.each(cases)('%s', (_name, filter, expected) =>
      withStore(async (store) => {
        await filled(store);
        expect(await seqs(store, filter)).toEqual(expected);
      }),
    );

    testStore('pages never repeat or skip, whatever comes between them', async (store) => {
      await filled(store);
      for (const order of ['oldest', 'newest'] as const) {
        const found: number[] = [];
        let after: PageRequest['after'];
        let extra = 20;
        do {
          const part = await store.events({}, all, {
            ...page,
            order,
            limit: 2,
            ...(after && { after }),
          });
          found.push(...part.items.map(({ seq }) => seq));
          after = part.next;
          if (order === 'oldest') {
            await append(store, A, [shipped(A, ++extra, bodies.decided())]);
          }
        } while (after);
        if (order === 'oldest') expect(found).toEqual([1, 2, 3, 11, 12]);
        else expect(found).toEqual([23, 22, 21, 12, 11, 3, 2, 1]);
      }
    });

    testStore('a page ends early beyond maxBytes, but holds one', async (store) => {
      await filled(store);
      const part = await store.events({}, all, { ...page, maxBytes: 1 });
      expect(part.items).toHaveLength(1);
      expect(part.next).toBeDefined();
    });

    testStore(
      'a scope without payloads shows that parts are there, and does not search',
      async (store) => {
        await filled(store);
        const scope = { payloads: false };
        expect(await seqs(store, { text: 'select' }, scope)).toEqual([]);
        const found = await store.events({ verb: 'Delete' }, scope, page);
        expect(found.items[0]?.parts).toEqual({ statement: { state: 'Withheld' } });
      },
    );

    testStore('a scope of owners is all there is', async (store) => {
      await filled(store);
      const scope = { owners: ['risk'], payloads: true };
      expect(await seqs(store, {}, scope)).toEqual([11, 12]);
      expect(await seqs(store, {}, { owners: [], payloads: true })).toEqual([]);
      expect((await store.sessions({}, scope, page)).items.map(({ id }) => id)).toEqual([B]);
      expect(await store.session(A, scope)).toBeUndefined();
      expect(await store.session(B, scope)).toMatchObject({ id: B });
    });

    testStore('sessions: by identity, time and page', async (store) => {
      await filled(store);
      const ids = async (
        ...[filter, order = 'oldest', after]: readonly [object, ('oldest' | 'newest')?, string?]
      ) =>
        (
          await store.sessions(filter, all, { ...page, order, ...(after && { after: [after] }) })
        ).items.map(({ id }) => id);
      expect(await ids({})).toEqual([A, B]);
      expect(await ids({}, 'newest')).toEqual([B, A]);
      expect(await ids({}, 'oldest', A)).toEqual([B]);
      expect(await ids({ identity: { name: 'nightly-report' } })).toEqual([A]);
      expect(await ids({ fromUs: startUs + 11_000_000 })).toEqual([B]);
      expect(await ids({ toUs: startUs + 11_000_000 })).toEqual([A]);
      expect(await ids({ idPrefix: A.slice(0, 8) })).toEqual([A, B]);
      expect(await ids({ idPrefix: A.slice(0, -1) }, 'oldest', A)).toEqual([B]);
      expect(await ids({ idPrefix: B })).toEqual([B]);
      expect(await ids({ idPrefix: 'f' })).toEqual([]);
      expect(await store.session(A, all)).toMatchObject({
        source: 'one',
        startedUs: startUs + 1_000_000,
        lastUs: startUs + 3_000_000,
        opened: { identity: { name: 'nightly-report' }, target: { name: 'orders-db' } },
        hold: false,
      });
    });
  });

  describe('retention', () => {
    const held = uuid(5);
    async function filled(store: Store) {
      for (const session of [A, held]) {
        const events = [
          shipped(session, 1, bodies.opened()),
          shipped(session, 2, bodies.decided(), { statement: 'select xyzzy', parameters: '["7"]' }),
          shipped(
            session,
            3,
            bodies.completed(2, [session === A ? 'a'.repeat(64) : 'b'.repeat(64)]),
          ),
        ];
        await append(store, session, events, 'one', 1000);
        await append(store, session, [shipped(session, 4, bodies.decided())], 'one', 2000);
      }
      await store.addRecording('a'.repeat(64), 10, 1000, []);
      await store.addRecording('b'.repeat(64), 10, 1000, ['c'.repeat(64)]);
      await store.addRecording('c'.repeat(64), 10, 1000, []);
      expect(await store.setHold(held, true)).toBe(true);
      expect(await store.setHold(uuid(99), true)).toBe(false);
    }

    testStore('statements: the line stays and says that they were there', async (store) => {
      await filled(store);
      expect(await store.purge('Statements', 1000)).toEqual({ count: 0, recordings: [] });
      expect(await store.purge('Statements', 1001)).toEqual({ count: 2, recordings: [] });
      const found = await store.events({ session: A }, all, page);
      expect(found.items[1]?.parts).toEqual({
        statement: { state: 'Purged' },
        parameters: { state: 'Purged' },
      });
      const hits = await store.events({ text: 'xyzzy' }, all, page);
      expect(hits.items.map(({ session }) => session)).toEqual([held]);
    });

    testStore('what is purged does not come back with a duplicate', async (store) => {
      const event = shipped(A, 1, bodies.decided(), { statement: 'xyzzy' });
      await append(store, A, [event], 'one', 1000);
      await store.purge('Statements', 1001);
      expect(await append(store, A, [event])).toMatchObject({ acknowledged: 1, duplicates: 1 });
      expect(await seqs(store, { text: 'xyzzy' })).toEqual([]);
      await store.purge('Metadata', 5000);
      expect(await append(store, A, [event])).toMatchObject({ acknowledged: 1, duplicates: 1 });
      expect(await seqs(store, {})).toEqual([]);
    });

    testStore('metadata: old events go, and are not missing', async (store) => {
      await filled(store);
      expect(await store.purge('Metadata', 1001)).toMatchObject({ count: 5 });
      expect(await seqs(store, { session: A })).toEqual([4]);
      expect(await seqs(store, { session: held })).toEqual([1, 2, 3, 4]);
      expect((await store.integrity(10))[0]?.missing).toEqual([]);
      expect((await append(store, A, [shipped(A, 5, bodies.decided())])).acknowledged).toBe(5);
    });

    testStore('recordings: all but those that a held session leads to', async (store) => {
      await filled(store);
      const result = await store.purge('Recordings', 1001);
      expect(result).toEqual({ count: 1, recordings: ['a'.repeat(64)] });
      expect(await store.recording('a'.repeat(64), all)).toEqual({ state: 'Purged' });
      expect(await store.recording('c'.repeat(64), all)).toMatchObject({
        state: 'Kept',
        bytes: 10,
      });
      await store.setHold(held, false);
      expect((await store.purge('Recordings', 1001)).count).toBe(2);
    });

    testStore('a result that is a part goes with the recordings', async (store) => {
      for (const session of [A, held]) {
        const events = [
          shipped(session, 1, bodies.decided(), { statement: 'select xyzzy' }),
          shipped(session, 2, bodies.completed(1), { result: 'cm93cw==' }),
        ];
        await append(store, session, events, 'one', 1000);
        await append(store, session, [result(session, 3)], 'one', 2000);
      }
      await store.setHold(held, true);
      const states = async (session: string) => [
        (await store.result(session, 2, all))?.state,
        (await store.result(session, 3, all))?.state,
      ];
      expect(await store.purge('Statements', 1001)).toEqual({ count: 1, recordings: [] });
      expect(await store.purge('Recordings', 1000)).toEqual({ count: 0, recordings: [] });
      expect(await states(A)).toEqual(['Kept', 'Kept']);
      expect(await store.purge('Recordings', 1001)).toEqual({ count: 1, recordings: [] });
      expect(await states(A)).toEqual(['Purged', 'Kept']);
      expect(await states(held)).toEqual(['Kept', 'Kept']);
      const [, second] = (await store.events({ session: A }, all, page)).items;
      expect(second?.parts).toEqual({ result: { state: 'Purged' } });
      // As with the lines.
      expect(await store.purge('Metadata', 2001)).toEqual({ count: 4, recordings: [] });
      expect(await states(A)).toEqual([undefined, undefined]);
      expect(await states(held)).toEqual(['Kept', 'Kept']);
    });

    testStore('a result that is purged does not come back with a duplicate', async (store) => {
      const event = result(A, 1);
      await append(store, A, [event], 'one', 1000);
      await store.purge('Recordings', 1001);
      expect(await append(store, A, [event])).toMatchObject({ duplicates: 1 });
      expect(await store.result(A, 1, all)).toEqual({ state: 'Purged' });
    });

    testStore('a recording that comes again starts anew', async (store) => {
      await store.addRecording('a'.repeat(64), 10, 1000, []);
      await store.addRecording('a'.repeat(64), 10, 3000, []);
      expect((await store.purge('Recordings', 2000)).count).toBe(0);
      expect((await store.purge('Recordings', 4000)).count).toBe(1);
      await store.addRecording('a'.repeat(64), 10, 5000, []);
      expect(await store.recording('a'.repeat(64), all)).toMatchObject({ state: 'Kept' });
    });
  });

  describe('recordings and snapshots', () => {
    testStore('a result that is a part is given by itself alone, with its salt', async (store) => {
      const salt = Buffer.alloc(16, 7);
      await append(store, A, [
        shipped(A, 1, bodies.opened()),
        shipped(A, 2, bodies.completed(1), { result: 'cm93cw==' }, salt),
        shipped(A, 3, bodies.completed(1)),
      ]);
      const kept = await store.result(A, 2, all);
      expect(kept).toMatchObject({ state: 'Kept', content: 'cm93cw==' });
      expect(kept?.state === 'Kept' && Buffer.from(kept.salt)).toEqual(salt);
      expect(await store.result(A, 3, all)).toBeUndefined();
      expect(await store.result(B, 2, all)).toBeUndefined();
      const parts = async (filter: EventFilter, scope: ReadScope) =>
        (await store.events(filter, scope, page)).items.map(({ parts: found }) => found);
      const apart = [{}, { result: { state: 'Apart' } }, {}];
      expect(await parts({}, all)).toEqual(apart);
      expect(await parts({ session: A }, all)).toEqual(apart);
      expect((await parts({}, { payloads: false }))[1]).toEqual({ result: { state: 'Withheld' } });
      expect((await store.integrity(10))[0]?.missingRecordings).toBe(0);
    });

    testStore('an owner reads the results of its own sessions, an operator none', async (store) => {
      await append(store, A, [shipped(A, 1, bodies.opened()), result(A, 2)]);
      expect(await store.result(A, 2, { owners: ['payments'], payloads: true })).toMatchObject({
        state: 'Kept',
      });
      for (const scope of [{ owners: ['risk'], payloads: true }, { payloads: false }]) {
        expect(await store.result(A, 2, scope)).toBeUndefined();
      }
      await store.purge('Recordings', 5000);
      for (const scope of [{ owners: ['risk'], payloads: true }, { payloads: false }]) {
        expect(await store.result(A, 2, scope)).toBeUndefined();
      }
    });

    testStore('of two that contradict, the result of the first is given', async (store) => {
      const [first, second] = ['Zmlyc3Q=', 'c2Vjb25k'].map((content) =>
        shipped(A, 1, bodies.completed(1), { result: content }),
      ) as [ShippedEvent, ShippedEvent];
      await append(store, A, [first]);
      await append(store, A, [second]);
      expect(await store.result(A, 1, all)).toMatchObject({ content: 'Zmlyc3Q=' });
    });

    testStore('an owner reads what its own sessions lead to', async (store) => {
      await append(store, A, [
        shipped(A, 1, bodies.opened()),
        shipped(A, 2, bodies.completed(1, ['a'.repeat(64)])),
      ]);
      expect((await store.integrity(10))[0]?.missingRecordings).toBe(1);
      await store.addRecording('a'.repeat(64), 10, 1000, ['b'.repeat(64)]);
      expect((await store.integrity(10))[0]?.missingRecordings).toBe(1);
      await store.addRecording('b'.repeat(64), 10, 1000, []);
      expect((await store.integrity(10))[0]?.missingRecordings).toBe(0);
      const own = { owners: ['payments'], payloads: true };
      const other = { owners: ['risk'], payloads: true };
      for (const digest of ['a'.repeat(64), 'b'.repeat(64)]) {
        expect(await store.recording(digest, own)).toMatchObject({ state: 'Kept' });
        expect(await store.recording(digest, other)).toBeUndefined();
        expect(await store.recording(digest, { payloads: false })).toBeUndefined();
      }
      expect(await store.recording('c'.repeat(64), all)).toBeUndefined();
    });

    testStore('snapshots by digest', async (store) => {
      await store.putSnapshot('d', '{"a":1}', 1);
      await store.putSnapshot('d', '{"a":1}', 2);
      expect(await store.snapshot('d')).toBe('{"a":1}');
      expect(await store.snapshot('e')).toBeUndefined();
    });
  });
}
