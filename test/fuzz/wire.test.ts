/**
 * What comes over HTTP: answers of the policy API to a sidecar, its streams, and what shippers bring the
 * collector. Each is taken as it is meant or refused by an error of ours.
 */
import { Problem } from '@chaperone/collector/http/problem.ts';
import { parseBatch } from '@chaperone/collector/ingest/batch.ts';
import { defaultIngestLimits } from '@chaperone/collector/ingest/limits.ts';
import { bodies, ndjson, shipped, uuid } from '@chaperone/collector/testing/events.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { EventStreamParser, type ServerEvent } from '@chaperone/runtime/http/event-stream.ts';
import {
  readAttested,
  readCaller,
  readCertificate,
  readLease,
  readTargetsEvent,
} from '@chaperone/sidecar/control-client/answers.ts';
import { expect } from '@jest/globals';
import fc from 'fast-check';
import { fuzz } from './support/fuzz.ts';
import { changed, changes } from './support/json.ts';
import { pieces } from './support/mutations.ts';

const time = '2026-01-01T00:00:00Z';
const answers: readonly (readonly [(value: unknown) => unknown, unknown])[] = [
  [
    readAttested,
    {
      role: 'Pod',
      controlToken: 'c',
      controlExpiresAt: time,
      ingestToken: 'i',
      ingestExpiresAt: time,
      source: { namespace: 'n', serviceAccount: 's', pod: { name: 'p', uid: 'u' }, node: 'n' },
      recordKey: Buffer.alloc(32, 1).toString('base64'),
      maxPolicyAgeMs: 1000,
    },
  ],
  [readLease, { name: 'n', version: '1', username: 'u', password: 'p', expiresAt: time }],
  [readCertificate, { certificateChain: 'pem', expiresAt: time }],
  [readCaller, { identityUid: 'u', proof: { method: 'Ticket' }, sessionEndsAt: time }],
  [
    readTargetsEvent,
    { versions: { Target: 1 }, targets: [{ uid: 'u', namespace: 'n', name: 't', host: 'h' }] },
  ],
];

fuzz(
  'wire: an answer of the policy API is read or refused',
  fc.property(fc.constantFrom(...answers), changes, ([read, whole], list) => {
    const text = JSON.stringify(changed(whole, list));
    if (text === undefined) return;
    let value: unknown;
    try {
      value = read(JSON.parse(text));
    } catch (error) {
      expect(error).toBeInstanceOf(ChaperoneError);
      return;
    }
    // Times are numbers, so that comparing them means something.
    for (const [name, one] of Object.entries(value as object)) {
      if (/Ms$/.test(name)) expect(Number.isFinite(one)).toBe(true);
    }
  }),
  { briefly: 0.5 },
);

const lines = fc.array(
  fc.oneof(
    fc.constantFrom('event: policy', 'data: {"a":1}', 'data:', ':', ': ping', 'id: {"T":1}', ''),
    fc.constantFrom('', '', 'data', 'retry: 1', 'data: ü€😀', 'id: \0', 'event', '\r', 'data: x\r'),
    fc.string({ maxLength: 12 }),
  ),
  { maxLength: 20 },
);

fuzz(
  'wire: an event stream gives the same events however it is cut, and none that is too long',
  fc.property(lines, fc.array(fc.nat(5000), { maxLength: 8 }), (texts, cuts) => {
    const bytes = Buffer.from(`${texts.join('\n')}\n`);
    const parsed = (chunks: readonly Buffer[]): unknown => {
      const events: ServerEvent[] = [];
      const parser = new EventStreamParser((event) => events.push(event), 60);
      try {
        for (const chunk of chunks) parser.feed(chunk);
      } catch (error) {
        expect(error).toBeInstanceOf(ChaperoneError);
        return 'refused';
      }
      for (const { data } of events) expect(data.length).toBeLessThanOrEqual(60);
      return events;
    };
    const whole = parsed([bytes]);
    const cut = parsed(pieces(bytes, cuts));
    // A cut may show sooner or later that an event is too long, for its end has not come.
    if (whole !== 'refused' && cut !== 'refused') expect(cut).toEqual(whole);
  }),
  { briefly: 0.5 },
);

const session = uuid(1);
const salt = Buffer.alloc(16, 5);
const batch = [
  shipped(session, 1, bodies.opened(), {}, salt),
  shipped(session, 2, bodies.decided(), { statement: 'SELECT 1', parameters: '["1",null]' }, salt),
  shipped(
    session,
    3,
    bodies.completed(2),
    { result: Buffer.from('T: a row').toString('base64') },
    salt,
  ),
  shipped(session, 4, bodies.closed(3), {}, salt),
];

fuzz(
  'wire: a batch of events is taken whole, with parts that its lines vouch for, or refused',
  fc.property(changes, fc.boolean(), fc.nat(3), (list, inLine, pick) => {
    const sent = inLine
      ? batch.map((event, at) =>
          at === pick
            ? { ...event, line: JSON.stringify(changed(JSON.parse(event.line), list)) ?? '' }
            : event,
        )
      : changed(batch, list);
    const text = Array.isArray(sent) ? ndjson(sent as never) : JSON.stringify(sent);
    let taken: ReturnType<typeof parseBatch>;
    try {
      taken = parseBatch(text ?? '', session, defaultIngestLimits);
    } catch (error) {
      expect(error).toBeInstanceOf(Problem);
      expect((error as Problem).status).toBeLessThan(500);
      return;
    }
    for (const { seq, line, facts, parts } of taken) {
      const said = JSON.parse(line) as { session: string; seq: number; parts?: object };
      expect([said.session, said.seq]).toEqual([session, seq]);
      expect(parts.map(({ name }) => name).sort()).toEqual(Object.keys(said.parts ?? {}).sort());
      expect(Number.isSafeInteger(facts.timeUs)).toBe(true);
    }
  }),
  { briefly: 1 },
);

fuzz(
  'wire: bytes of a batch that were changed',
  fc.property(
    fc.array(fc.record({ at: fc.nat(5000), byte: fc.nat(255) }), { minLength: 1, maxLength: 3 }),
    (edits) => {
      const bytes = Buffer.from(ndjson(batch));
      for (const { at, byte } of edits) bytes[at % bytes.length] = byte;
      try {
        const taken = parseBatch(bytes.toString(), session, defaultIngestLimits);
        // What is not the part that was recorded does not pass for it.
        for (const { seq, parts } of taken) {
          const recorded = batch.find((one) => one.seq === seq)?.parts ?? [];
          for (const { name, content } of parts) {
            const part = recorded.find((one) => one.name === name);
            if (part !== undefined) expect(content).toBe(part.content);
          }
        }
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
      }
    },
  ),
  { briefly: 0.5 },
);

const base64 = fc
  .tuple(fc.uint8Array({ maxLength: 40 }), fc.nat(60), fc.string({ maxLength: 2 }))
  .map(([bytes, at, put]) => {
    const text = Buffer.from(bytes).toString('base64');
    return text.slice(0, at) + put + text.slice(at + put.length);
  });

fuzz(
  'wire: a result that its line vouches for is the one text of its bytes, or refused',
  fc.property(base64, (result) => {
    const event = shipped(session, 1, bodies.completed(2), { result }, salt);
    const bytes = Buffer.from(result, 'base64');
    const take = () => parseBatch(ndjson([event]), session, defaultIngestLimits);
    if (bytes.toString('base64') !== result) expect(take).toThrow(Problem);
    else expect(take()[0]!.parts).toMatchObject([{ name: 'result', content: result }]);
  }),
  { briefly: 0.5 },
);
