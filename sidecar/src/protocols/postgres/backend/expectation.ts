/**
 * What the backend still owes: one expectation for each message sent to it, in order. It says which
 * responses may come, what is to become of them, and what is undone when the backend skips it.
 */
import type { FieldMask, PlannedMask } from '@chaperone/core/masking/types.ts';
import type { LimitObligation } from '@chaperone/core/policy/types.ts';
import type { DecidedStatement } from '../frontend/decision-context.ts';
import type { Undo } from '../frontend/names.ts';
import type { Backend } from '../messages/types.ts';
import { leavesSomething } from './leaves-something.ts';
import type { RowMasker } from './row-masker.ts';

/** Why an execution was cut short: what the client is told instead of the rest. */
export interface Cut {
  /** The whole ErrorResponse. */
  readonly error: Buffer;
  readonly sqlstate: string;
}

/** The carrying out of what one OperationDecided allowed. */
export interface Execution {
  /** seq of its OperationDecided. */
  readonly decision: number;
  readonly startedUs: number;
  /** Limits that its rows count against. */
  readonly obligations: readonly LimitObligation[];
  /** Rows that its hourly limits still have room for when its first one comes; Infinity without one. */
  rowsLeft?: number;
  /** Results are recorded as the client sees them. */
  readonly recordResults: boolean;
  rows: number;
  bytes: number;
  cut?: Cut | undefined;
  /** SQLSTATE of the first error. */
  sqlstate?: string;
  /** Masked cells by masking rule, `namespace/name`; made with the first. */
  masked?: Map<string, number>;
}

/** One statement of an execution, with what its result needs. */
export interface StatementRun {
  readonly decided: DecidedStatement;
  /** A mask is planned for some column: not a row passes without it. */
  readonly mustMask: boolean;
  /** The masks of its result: bound at Bind, or at RowDescription in a simple Query. */
  masks: readonly (FieldMask | null)[] | null;
  /** Set with `masks`, when any column has one. */
  masker?: RowMasker;
  /** Rows and bytes of this statement alone. */
  rows: number;
  bytes: number;
}

interface Sent {
  /** Takes the name changes of this message back, when the backend skips it. */
  readonly undo?: Undo;
  /** What the backend does even where the message fails: taken back only where it is skipped. */
  undoSkipped?: Undo;
  /**
   * Names, settings or the catalog may be different behind it: nothing is decided before it is answered
   * (decisions 2).
   */
  readonly barrier: boolean;
}

export interface QueryExpectation extends Sent {
  readonly kind: 'Query';
  /** Absent for a text that is only there to fail (`replacement`). */
  readonly execution?: Execution;
  readonly runs: readonly StatementRun[];
  /** The statement whose answer comes next. */
  index: number;
  /** What the client gets instead of the backend's error: the query was refused. */
  readonly replacement?: Buffer;
  failed: boolean;
  /** The backend is made to fail behind it: the ReadyForQuery that comes of that is the client's, this one's is not. */
  readyFollows?: boolean;
}

export interface SimpleExpectation extends Sent {
  readonly kind: 'Parse' | 'Bind' | 'Close' | 'Sync';
  /** See QueryExpectation. */
  readyFollows?: boolean;
  /** It is ours: the answer does not reach the client. */
  readonly silent?: boolean;
}

export interface DescribeExpectation extends Sent {
  readonly kind: 'Describe';
  /** A statement is described by its parameters first. */
  parametersDue: boolean;
  /** Masks of what is described; empty where nothing is masked. */
  readonly planned: readonly (PlannedMask | null)[];
  /** It is ours: only a RowDescription reaches the client. */
  readonly silent?: boolean;
}

export interface ExecuteExpectation extends Sent {
  readonly kind: 'Execute';
  readonly execution: Execution;
  readonly run: StatementRun;
  /**
   * The most rows that it may change. It is undone beyond: until it is answered no Sync goes out, which
   * would commit it (decisions 9).
   */
  readonly maxRowsChanged?: number;
  /** It, or what it is one transaction with, leaves something: where it is cut, that is undone. */
  readonly leavesSomething?: boolean;
  /** It may be cut: until it is answered no Sync goes out either. */
  readonly holdsSync?: boolean;
}

/** A Parse that always fails: it makes a refusal happen at the backend (decisions 1). */
export interface RefusedExpectation extends Sent {
  readonly kind: 'Refused';
  readonly replacement: Buffer;
}

/** Execute or Describe of a portal that may have been left in a failed block: an error, or nothing at all. */
export interface LeftPortalExpectation extends Sent {
  readonly kind: 'LeftPortal';
  readonly nothing: typeof Backend.EmptyQueryResponse | typeof Backend.NoData;
}

export interface FunctionCallExpectation extends Sent {
  readonly kind: 'FunctionCall';
  readonly decided: DecidedStatement;
  readonly execution: Execution;
  failed: boolean;
}

/** What the backend said to a question of ours. */
export interface InBandFailure {
  readonly sqlstate: string;
}

/** Statements of our own, between the client's: their answers never reach it. */
export interface InBandExpectation extends Sent {
  readonly kind: 'InBand';
  /** Commands that have not completed. */
  commandsLeft: number;
  /** CloseCompletes that have not come. */
  closesLeft: number;
  /** One array of values for each command that returns some: each returns one row at most. */
  readonly results: (string | null)[][];
  readonly maxResults: number;
  /** When it is interrupted it is asked again by `done`, and the client is told nothing. */
  retriable: boolean;
  /** A message of the client's before it failed, and the backend skipped it. */
  readonly skipped: () => void;
  readonly done: (
    failure: InBandFailure | undefined,
    results: readonly (readonly (string | null)[])[],
  ) => void;
}

/** The Sync behind statements of our own. */
export interface InBandSyncExpectation extends Sent {
  readonly kind: 'InBandSync';
}

export type Expectation =
  | QueryExpectation
  | SimpleExpectation
  | DescribeExpectation
  | ExecuteExpectation
  | RefusedExpectation
  | LeftPortalExpectation
  | FunctionCallExpectation
  | InBandExpectation
  | InBandSyncExpectation;

/** What is kept for each message takes memory, and a client can send them faster than a backend answers. */
const maxInflight = 4096;

/** First in, first out; barriers are counted, since every decision asks for them. */
export class Inflight {
  #items: Expectation[] = [];
  #head = 0;
  #barriers = 0;
  #holdingSync = 0;
  #sent = 0;
  #unsynced = false;
  #executes = false;
  #leavesSomething = false;
  #lastEnd = -1;

  /**
   * Messages of the extended protocol were sent and no Sync behind them: they are one transaction with what
   * comes, whether or not they have been answered.
   */
  get unsynced(): boolean {
    return this.#unsynced;
  }

  /** What no Sync stands behind yet prepares, describes and closes, and carries out nothing. */
  get onlyPrepares(): boolean {
    return this.#unsynced && !this.#executes;
  }

  /** What no Sync stands behind yet leaves something when it is committed. */
  get leavesSomething(): boolean {
    return this.#leavesSomething;
  }

  /** What has been answered was committed or rolled back, as if a Sync stood before all that is in flight. */
  markSynced(): void {
    this.#unsynced = false;
    this.#executes = false;
    this.#leavesSomething = false;
    for (const item of this) this.#follow(item);
  }

  /** The number that the next expectation gets; they count from 0 in the order of sending. */
  get nextNumber(): number {
    return this.#sent;
  }

  /** The number of the first expectation. */
  get firstNumber(): number {
    return this.#sent - this.length;
  }

  /**
   * Whether the message of that number is not answered yet and may fail, or be skipped, without that what is sent now
   * is skipped with it: the end of its pipeline lies between.
   */
  mayFailAlone(number: number): boolean {
    return this.length > 0 && number >= this.firstNumber && number < this.#lastEnd;
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  /** So many that no more are sent before some are answered. */
  get isFull(): boolean {
    return this.length >= maxInflight;
  }

  /** The moments at which a client that waited for answers may go on: none are due, or half as many. */
  get letsGoOn(): boolean {
    return this.length === 0 || this.length === maxInflight / 2;
  }

  get hasBarrier(): boolean {
    return this.#barriers > 0;
  }

  /** Something is under way that may have to be undone: a Sync would commit it. */
  get holdsSync(): boolean {
    return this.#holdingSync > 0;
  }

  get first(): Expectation | undefined {
    return this.#items[this.#head];
  }

  get last(): Expectation | undefined {
    return this.length === 0 ? undefined : this.#items[this.#items.length - 1];
  }

  /** True when a Sync (or a simple Query, which ends in one) makes the backend send what it holds back. */
  get endsFlushed(): boolean {
    const { last } = this;
    return last === undefined || endsPipeline(last);
  }

  push(expectation: Expectation): void {
    this.#items.push(expectation);
    if (endsPipeline(expectation)) this.#lastEnd = this.#sent;
    this.#sent += 1;
    this.#follow(expectation);
    if (expectation.barrier) this.#barriers += 1;
    if (holdsSync(expectation)) this.#holdingSync += 1;
  }

  #follow(expectation: Expectation): void {
    this.#unsynced = !endsPipeline(expectation);
    this.#executes = this.#unsynced && (this.#executes || !onlyPrepares(expectation));
    this.#leavesSomething =
      this.#unsynced &&
      (this.#leavesSomething ||
        (expectation.kind === 'Execute' && leavesSomething(expectation.run.decided.analysis)));
  }

  shift(): Expectation | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#head += 1;
    if (item.barrier) this.#barriers -= 1;
    if (holdsSync(item)) this.#holdingSync -= 1;
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head >= 1024) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Removes all before the first Sync, newest last; what is removed is returned in order. */
  dropUntilSync(): Expectation[] {
    const dropped: Expectation[] = [];
    for (;;) {
      const { first } = this;
      if (first === undefined || first.kind === 'Sync' || first.kind === 'InBandSync') break;
      dropped.push(this.shift()!);
    }
    return dropped;
  }

  /** Removes the Syncs right behind the first: the backend ignores them while it takes COPY data. */
  dropSyncsBehindFirst(): void {
    const { first } = this;
    if (first === undefined) return;
    const rest = this.#items.slice(this.#head + 1);
    let syncs = 0;
    while (rest[syncs]?.kind === 'Sync') {
      if (rest[syncs]!.barrier) this.#barriers -= 1;
      syncs += 1;
    }
    this.#items = [first, ...rest.slice(syncs)];
    this.#head = 0;
    this.#sent -= syncs;
    this.#lastEnd = this.firstNumber + this.#items.findLastIndex(endsPipeline);
    this.#unsynced = !endsPipeline(this.last ?? first);
    this.#executes = this.#unsynced;
    this.#leavesSomething = this.#unsynced;
  }

  *[Symbol.iterator](): Generator<Expectation> {
    for (let index = this.#head; index < this.#items.length; index += 1) yield this.#items[index]!;
  }
}

function holdsSync(expectation: Expectation): boolean {
  if (expectation.kind !== 'Execute') return false;
  return expectation.maxRowsChanged !== undefined || expectation.holdsSync === true;
}

const preparing: ReadonlySet<Expectation['kind']> = new Set([
  'Parse',
  'Describe',
  'Close',
  'LeftPortal',
  'InBand', // a question of ours, which only reads
]);

function onlyPrepares({ kind }: Expectation): boolean {
  return preparing.has(kind);
}

function endsPipeline({ kind }: Expectation): boolean {
  return kind === 'Sync' || kind === 'Query' || kind === 'InBandSync' || kind === 'FunctionCall';
}
