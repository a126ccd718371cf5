import type { VersionVector } from '@chaperone/core/control/wire.ts';
import { EventStreamParser, type ServerEvent } from '@chaperone/runtime/http/event-stream.ts';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Snapshot } from '../controllers/snapshot.ts';
import { stored } from '../controllers/testing.ts';
import type { Stored } from '../store/resource-store.ts';
import { EventStream, type StreamResponse } from './event-stream.ts';
import { dominates, merge, parseVersions } from './versions.ts';

/** A connection whose reader takes what is written, or nothing. */
class Reader implements StreamResponse {
  readonly events: ServerEvent[] = [];
  readonly destroyed = false;
  takes = true;
  ended: 'ended' | 'destroyed' | undefined;
  readonly #parser = new EventStreamParser((event) => this.events.push(event), 1 << 20);

  get writableEnded(): boolean {
    return this.ended !== undefined;
  }
  readonly writeHead = (() => this) as never;
  readonly flushHeaders = (): void => {};
  readonly write = ((text: string): boolean => {
    this.#parser.feed(Buffer.from(text));
    return this.takes;
  }) as StreamResponse['write'];
  readonly end = (() => {
    this.ended = 'ended';
    return this;
  }) as never;
  readonly destroy = (() => {
    this.ended = 'destroyed';
    return this;
  }) as never;
}

const streamOf = (
  response: StreamResponse,
  content: () => { key: string; fields: string },
  held: VersionVector = {},
): EventStream =>
  new EventStream({
    name: 'policy',
    response,
    source: 'pod',
    sourceGone: () => false,
    expiresMs: Number.POSITIVE_INFINITY,
    held,
    content,
    onSnapshot: () => {},
  });

describe('a reader that takes nothing', () => {
  test('is told the newest state when it does again, and is not queued for', () => {
    const reader = new Reader();
    let state = 0;
    let made = 0;
    const stream = streamOf(reader, () => {
      made += 1;
      return { key: `${state}`, fields: `"state":${state}` };
    });
    const replica = { versions: {}, complete: {} };
    reader.takes = false;
    stream.update(replica, true, 1000);
    for (state = 1; state < 1000; state += 1) {
      stream.update(replica, true, 2000);
      stream.heartbeat(2000);
    }
    expect([reader.events.length, made, stream.blockedSinceMs]).toEqual([1, 1, 1000]);
    reader.takes = true;
    expect(stream.drained()).toBe(true);
    expect(stream.drained()).toBe(false);
    stream.update(replica, true, 3000);
    expect(reader.events.map(({ data }) => JSON.parse(data).state)).toEqual([0, 1000]);
    expect(stream.blockedSinceMs).toBeUndefined();
  });

  test('is cut off, as it would not take an end', () => {
    const [taking, blocked] = [new Reader(), new Reader()];
    blocked.takes = false;
    for (const reader of [taking, blocked]) {
      const stream = streamOf(reader, () => ({ key: '', fields: '"state":0' }));
      stream.update({ versions: {}, complete: {} }, true, 0);
      stream.end();
    }
    expect([taking.ended, blocked.ended]).toEqual(['ended', 'destroyed']);
  });
});

describe('a replica that is not up to date', () => {
  test('does not say that what the reader holds is', () => {
    const reader = new Reader();
    const stream = streamOf(reader, () => ({ key: 'same', fields: '"state":0' }));
    stream.update({ versions: { Target: 1 }, complete: { Target: 1 } }, true, 0);
    stream.update({ versions: { Target: 2 }, complete: { Target: 2 } }, false, 0);
    expect(reader.events).toHaveLength(1);
    stream.update({ versions: { Target: 3 }, complete: { Target: 3 } }, true, 0);
    expect(reader.events.map(({ event, id }) => [event, id])).toEqual([
      ['policy', '{"Target":1}'],
      ['heartbeat', '{"Target":3}'],
    ]);
  });
});

const kinds = ['MachineIdentity', 'AccessPolicy', 'Namespace'] as const;
type Kind = (typeof kinds)[number];
const paths = { MachineIdentity: 'pay/a', AccessPolicy: 'data/p', Namespace: 'pay' } as const;

/** What becomes of the one object of each kind; all kinds share one count of versions, as in etcd. */
interface Action {
  readonly kind: Kind;
  readonly deleted: boolean;
  readonly suspended: boolean;
  readonly version: number;
}

const history = fc
  .array(
    fc.record({
      kind: fc.constantFrom(...kinds),
      deleted: fc.boolean(),
      suspended: fc.boolean(),
    }),
    { minLength: 1, maxLength: 25 },
  )
  .map((actions): Action[] => actions.map((action, index) => ({ ...action, version: index + 1 })));

type Step = 'apply' | 'tell' | 'connect' | 'bookmark' | 'restart' | 'heartbeat';
const stepOf = (step: Step) =>
  fc.record({ step: fc.constant(step), replica: fc.nat(1), kind: fc.constantFrom(...kinds) });
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: stepOf('apply') },
    { weight: 3, arbitrary: stepOf('tell') },
    { weight: 3, arbitrary: stepOf('connect') },
    { weight: 1, arbitrary: stepOf('bookmark') },
    { weight: 1, arbitrary: stepOf('restart') },
    { weight: 1, arbitrary: stepOf('heartbeat') },
  ),
  { minLength: 1, maxLength: 120 },
);

const absent = 0;

/** Watches each kind by itself, and of each has seen the first few actions. */
class Replica {
  readonly #actions: readonly Action[];
  readonly #seen: Record<Kind, number> = { MachineIdentity: 0, AccessPolicy: 0, Namespace: 0 };
  snapshot = new Snapshot();

  constructor(actions: readonly Action[]) {
    this.#actions = actions;
    this.restart();
  }

  /** Lists everything anew, as of what it has seen: deletions of before are not seen as such. */
  restart(): void {
    this.snapshot = new Snapshot();
    const objects = kinds.flatMap((kind) => {
      const last = this.#of(kind)[this.#seen[kind] - 1];
      return last === undefined || last.deleted ? [] : [this.#object(last)];
    });
    this.snapshot.apply({
      events: objects.map((object) => ({ type: 'Added', object })),
      resourceVersion: String(this.#actions.length),
      versions: this.#upTo(),
    });
  }

  /** Sees the next action on a kind. */
  apply(kind: Kind): void {
    const action = this.#of(kind)[this.#seen[kind]];
    if (action === undefined) return;
    this.#seen[kind] += 1;
    const present = this.snapshot.all(kind).length > 0;
    if (action.deleted && !present) return;
    const type = action.deleted ? 'Deleted' : present ? 'Modified' : 'Added';
    this.snapshot.apply({
      events: [{ type, object: this.#object(action) }],
      resourceVersion: String(this.#actions.length),
      versions: { [kind]: action.version },
    });
  }

  applyAll(): void {
    for (const { kind } of this.#actions) this.apply(kind);
  }

  /** Learns that nothing of what it has not seen is older than the next action. */
  bookmark(): void {
    this.snapshot.apply({
      events: [],
      resourceVersion: String(this.#actions.length),
      versions: this.#upTo(),
    });
  }

  content(): { key: string; fields: string } {
    const key = JSON.stringify(Object.fromEntries(kinds.map((kind) => [kind, this.#state(kind)])));
    return { key, fields: `"world":${key}` };
  }

  /** How many of the actions on that kind it has seen. */
  seen(kind: Kind): number {
    return this.#seen[kind];
  }

  /** The object's generation. */
  #state(kind: Kind): number {
    return this.snapshot.all(kind)[0]?.metadata.generation ?? absent;
  }

  #of(kind: Kind): readonly Action[] {
    return this.#actions.filter((action) => action.kind === kind);
  }

  #upTo(): VersionVector {
    return Object.fromEntries(
      kinds.map((kind) => {
        const next = this.#of(kind)[this.#seen[kind]];
        return [kind, next === undefined ? this.#actions.length : next.version - 1];
      }),
    );
  }

  #object({ kind, suspended, version }: Action): Stored {
    const spec = kind === 'MachineIdentity' ? { suspended } : {};
    return stored(
      kind,
      paths[kind],
      spec,
      {},
      {
        generation: version,
        resourceVersion: String(version),
      },
    );
  }
}

/** What each kind's object is after each of its actions. */
function statesOf(actions: readonly Action[], kind: Kind): number[] {
  const own = actions.filter((action) => action.kind === kind);
  return [absent, ...own.map(({ deleted, version }) => (deleted ? absent : version))];
}

/** A reader that goes from one replica to another, and checks that it is never taken back. */
class Traveller {
  held: VersionVector = {};
  /** By kind: after how many of its actions the world was as it is known to be. */
  readonly #reached = new Map<Kind, number>();
  readonly #actions: readonly Action[];
  #current: { reader: Reader; stream: EventStream; replica: Replica; taken: number } | undefined;
  world = '';

  constructor(actions: readonly Action[]) {
    this.#actions = actions;
  }

  connect(replica: Replica): void {
    const reader = new Reader();
    const stream = streamOf(reader, () => replica.content(), this.held);
    this.#current = { reader, stream, replica, taken: 0 };
    this.tell();
  }

  heartbeat(): void {
    this.#current?.stream.heartbeat(0);
    this.#read();
  }

  /** What the replica that it is connected to does after one change or several. */
  tell(): void {
    if (this.#current === undefined) return;
    const { stream, replica } = this.#current;
    stream.update(replica.snapshot, true, 0);
    this.#read();
    if (stream.heldBack) return;
    expect(this.world).toBe(replica.content().key);
    for (const kind of kinds) {
      const states = statesOf(this.#actions, kind);
      const reached = this.#reached.get(kind) ?? 0;
      const seen = replica.seen(kind);
      if (seen < reached) expect([kind, states[seen]]).toEqual([kind, states[reached]]);
      this.#reached.set(kind, Math.max(reached, seen));
    }
  }

  #read(): void {
    const current = this.#current;
    if (current === undefined) return;
    for (const { event, data, id } of current.reader.events.slice(current.taken)) {
      if (id !== '') {
        const versions = parseVersions(id)!;
        expect(merge(versions, this.held)).toEqual(versions);
        this.held = versions;
      }
      if (event === 'policy') this.world = JSON.stringify(JSON.parse(data).world);
    }
    current.taken = current.reader.events.length;
  }
}

describe('two replicas, of which either may lag, and a reader that goes from one to the other', () => {
  test('never take the reader back to what it has left, and bring it to the end', () => {
    fc.assert(
      fc.property(history, steps, (actions, plan) => {
        const replicas = [new Replica(actions), new Replica(actions)];
        const traveller = new Traveller(actions);
        for (const { step, replica: index, kind } of plan) {
          const replica = replicas[index]!;
          if (step === 'apply') replica.apply(kind);
          else if (step === 'bookmark') replica.bookmark();
          else if (step === 'restart') replica.restart();
          else if (step === 'connect') traveller.connect(replica);
          else if (step === 'heartbeat') traveller.heartbeat();
          else traveller.tell();
        }
        for (const replica of replicas) {
          replica.applyAll();
          // A list that shows no trace of a deletion may be from before it; the next bookmark tells.
          replica.bookmark();
          traveller.connect(replica);
          expect(traveller.world).toBe(replica.content().key);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('version vectors', () => {
  test.each<[VersionVector, VersionVector, boolean]>([
    [{ a: 1 }, {}, true],
    [{ a: 1 }, { a: 1 }, true],
    [{ a: 2, b: 1 }, { a: 1, b: 1 }, true],
    [{ a: 2, b: 1 }, { a: 1, b: 2 }, false],
    [{ a: 1 }, { a: 2 }, false],
    [{ a: 1 }, { other: 9 }, true],
  ])('%j dominates %j: %s', (complete, held, result) => {
    expect(dominates(complete, held)).toBe(result);
  });

  test('the merged vector dominates both, and nothing less does', () => {
    const vector = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.nat(9));
    fc.assert(
      fc.property(vector, vector, (a, b) => {
        const merged = merge(a, b);
        expect(dominates(merged, a) && dominates(merged, b)).toBe(true);
        for (const [part, version] of Object.entries(merged)) {
          expect(Math.max(a[part] ?? 0, b[part] ?? 0)).toBe(version);
        }
      }),
    );
  });
});
