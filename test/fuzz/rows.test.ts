/**
 * DataRows that were changed, as a broken or hostile server might send them: a row is masked, or read, field by
 * field as it stands, or it is refused; nothing outside it is read or written.
 */
import { type FieldMask, NULL_FIELD } from '@chaperone/core/masking/types.ts';
import type { RuleRef } from '@chaperone/core/policy/types.ts';
import type { InBandExpectation } from '@chaperone/sidecar/protocols/postgres/backend/expectation.ts';
import type { ResponseEvents } from '@chaperone/sidecar/protocols/postgres/backend/response-flow.ts';
import { Responses } from '@chaperone/sidecar/protocols/postgres/backend/responses.ts';
import { RowMasker } from '@chaperone/sidecar/protocols/postgres/backend/row-masker.ts';
import type { DecisionContext } from '@chaperone/sidecar/protocols/postgres/frontend/decision-context.ts';
import { dataRow } from '@chaperone/sidecar/protocols/postgres/messages/backend-writer.ts';
import { HEADER_BYTES } from '@chaperone/sidecar/protocols/postgres/messages/frame.ts';
import { ProtocolError } from '@chaperone/sidecar/protocols/postgres/messages/protocol-error.ts';
import { SessionState } from '@chaperone/sidecar/protocols/postgres/session-state.ts';
import { expect } from '@jest/globals';
import fc from 'fast-check';
import { fuzz } from './support/fuzz.ts';
import { mutate, mutations } from './support/mutations.ts';

type Fields = readonly (Buffer | null)[];

/** The fields of a DataRow as the manual has them ("Message Formats"); undefined where they do not fill it. */
function fieldsOf(row: Buffer): Fields | undefined {
  const body = row.subarray(HEADER_BYTES);
  if (body.length < 2) return undefined;
  const fields: (Buffer | null)[] = [];
  let at = 2;
  for (let left = body.readUInt16BE(0); left > 0; left -= 1) {
    if (body.length - at < 4) return undefined;
    const length = body.readInt32BE(at);
    at += 4;
    if (length < -1 || length > body.length - at) return undefined;
    fields.push(length === -1 ? null : body.subarray(at, at + length));
    at += Math.max(length, 0);
  }
  return at === body.length ? fields : undefined;
}

const rule: RuleRef = {
  kind: 'MaskingRule',
  namespace: 'data',
  object: 'm',
  rule: 'm',
  generation: 1,
};

/** The same in place of every value; NULL where there is no text. */
class Always implements FieldMask {
  readonly rule = rule;
  readonly lastHit = true;
  readonly #text: Buffer | null;

  constructor(text: string | null) {
    this.#text = text === null ? null : Buffer.from(text);
  }

  maxLength(): number {
    return this.#text?.length ?? 0;
  }

  write(_src: Buffer, _start: number, _end: number, dst: Buffer, at: number): number {
    return this.#text === null ? NULL_FIELD : this.#text.copy(dst, at);
  }

  masked(value: Buffer | null): Buffer | null {
    return value === null ? null : this.#text;
  }
}

const value = fc.option(fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes)));
const mask = fc.option(
  fc.constantFrom<string | null>(null, '', 'X', 'masked').map((text) => new Always(text)),
);

/** A DataRow of this body: where a message ends is settled before its fields are looked at. */
function framed(body: Buffer): Buffer {
  const header = Buffer.from([0x44, 0, 0, 0, 0]);
  header.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([header, body]);
}

/** A row of so many columns, each masked or not, with what was done to it. */
const changedRow = fc.array(fc.tuple(value, mask), { maxLength: 4 }).chain((columns) =>
  fc.record({
    masks: fc.constant(columns.map(([, one]) => one)),
    row: mutations.map((changes) => {
      const row = Buffer.concat(mutate([dataRow(columns.map(([one]) => one))], changes));
      // Where a message ends is settled before its fields are looked at.
      const whole = row.length < HEADER_BYTES ? dataRow([]) : row;
      whole[0] = 0x44;
      whole.writeInt32BE(whole.length - 1, 1);
      return whole;
    }),
  }),
);

const around = fc.uint8Array({ maxLength: 12 });

fuzz(
  'rows: a row is masked as it stands, or refused',
  fc.property(changedRow, around, around, ({ row, masks }, before, after) => {
    const among = Buffer.concat([before, row, after]);
    const [start, end] = [before.length, before.length + row.length];
    const fields = fieldsOf(row);
    const fits = fields?.length === masks.length;
    const masker = new RowMasker(masks);
    let bound: number;
    try {
      bound = masker.measure(among, start, end);
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError);
      expect(fits).toBe(false);
      return;
    }
    expect(fits).toBe(true);
    const expected = fields!.map((one, index) => {
      const mask = masks[index];
      return mask ? mask.masked(one) : one;
    });
    const apart = Buffer.alloc(bound + 8, 0xee);
    const written = masker.write(among, start, end, apart, 4);
    expect(apart.subarray(4, written)).toEqual(dataRow(expected));
    expect(written - 4).toBeLessThanOrEqual(bound);
    expect(apart.subarray(written).every((byte) => byte === 0xee)).toBe(true);
    expect(among).toEqual(Buffer.concat([before, row, after]));
    if (masker.grows) return;
    const inPlace = masker.write(among, start, end, among, start);
    expect(among.subarray(start, inPlace)).toEqual(dataRow(expected));
    expect(among.subarray(0, start)).toEqual(Buffer.from(before));
    expect(among.subarray(end)).toEqual(Buffer.from(after));
  }),
  { briefly: 1 },
);

const next = dataRow([Buffer.from('next')]);

fuzz(
  'rows: an answer to a question of ours is read as it stands, or refused',
  fc.property(changedRow, ({ row }) => {
    const state = new SessionState({} as DecisionContext);
    const question: InBandExpectation = {
      kind: 'InBand',
      barrier: true,
      commandsLeft: 1,
      closesLeft: 2,
      results: [],
      maxResults: 2,
      retriable: false,
      done: () => {},
      skipped: () => {},
    };
    state.inflight.push(question);
    const events: Partial<ResponseEvents> = { toClient: () => {} };
    const responses = new Responses(state, events as ResponseEvents, { maxMaskedRowBytes: 1000 });
    const fields = fieldsOf(row)?.map((one) => one?.toString() ?? null);
    try {
      responses.feed(Buffer.concat([row, next]));
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError);
      expect([fields, question.results]).toEqual([undefined, []]);
      return;
    }
    expect(question.results).toEqual([fields, ['next']]);
  }),
  {
    briefly: 0.5,
    past: [
      {
        values: [{ masks: [], row: framed(Buffer.from([0, 0, 0xee])) }],
        was: 'what stood behind the fields of a row was passed over',
      },
      {
        values: [{ masks: [], row: framed(Buffer.alloc(0)) }],
        was: 'the number of fields was read from the next message where a row had none',
      },
    ],
  },
);
