/** Rows through the whole backend side in this process: framing, limits, masks, and the record where one is given. */
import type { BundleMask } from '@chaperone/core/policy/types.ts';
import type { SpoolRecorder } from '@chaperone/runtime/recorder/options.ts';
import type {
  Execution,
  StatementRun,
} from '@chaperone/sidecar/protocols/postgres/backend/expectation.ts';
import { bindMasks } from '@chaperone/sidecar/protocols/postgres/backend/mask-binding.ts';
import { Responses } from '@chaperone/sidecar/protocols/postgres/backend/responses.ts';
import { RowMasker } from '@chaperone/sidecar/protocols/postgres/backend/row-masker.ts';
import { dataRow } from '@chaperone/sidecar/protocols/postgres/messages/backend-writer.ts';
import { SessionState } from '@chaperone/sidecar/protocols/postgres/session-state.ts';
import { type ContextOptions, decideText, freshContext, request } from './deciding.ts';

export interface RowLoad {
  /** What the rows are the result of; it is decided first. */
  readonly sql: string;
  /** Type OIDs of the output columns. */
  readonly types: readonly number[];
  /** Values of row `id`. */
  readonly row: (id: number) => readonly string[];
  readonly masks: readonly BundleMask[];
  /** How many columns the masks are to hit; another number is an error. */
  readonly masked: number;
  readonly catalog?: ContextOptions['catalog'];
  readonly recorder?: SpoolRecorder;
  /** Of the chunk that is fed again and again: default 300, about what one read has. */
  readonly rowsPerChunk?: number;
  /** Chunks of one of the seven rounds, of which the first two only warm up. */
  readonly chunksPerRound?: number;
}

/** Millions of rows a second, of each round. */
export function rowRates(load: RowLoad): number[] {
  const { rowsPerChunk = 300, chunksPerRound = 500, recorder } = load;
  const context = freshContext({
    masks: load.masks,
    ...(load.catalog && { catalog: load.catalog }),
  });
  const decided = decideText(context, load.sql);
  const state = new SessionState(context);
  const session = recorder?.openSession();
  let out = 0;
  const failed = (): never => {
    throw new Error('not expected');
  };
  const responses = new Responses(
    state,
    {
      toClient: (pieces) => {
        for (const piece of pieces) out += piece.length;
      },
      recordResult: (_execution, bytes) => {
        if (session?.appendResult(1, bytes) !== undefined) failed();
      },
      completed: () => {},
      overLimit: () => undefined,
      overWritten: () => undefined,
      failBackend: failed,
      cancelBackend: failed,
      settled: () => {},
      inBandFailure: failed,
      undeliverable: failed,
      parameterChanged: failed,
      mayHear: failed,
      leaking: failed,
      nowMs: () => request.nowMs,
    },
    { maxMaskedRowBytes: 1 << 24 },
  );
  const bound = bindMasks(decided.permit?.masks.columns ?? [], [...load.types], () => 0);
  if ('why' in bound) throw new Error(bound.why);
  const masked = bound.masks?.filter((one) => one !== null).length ?? 0;
  if (masked !== load.masked) throw new Error(`${masked} fields are masked`);
  const mustMask = bound.masks !== null;
  const run: StatementRun = { decided, mustMask, masks: bound.masks, rows: 0, bytes: 0 };
  if (bound.masks !== null) run.masker = new RowMasker(bound.masks);
  const execution: Execution = {
    decision: 1,
    obligations: [],
    rowsLeft: Number.POSITIVE_INFINITY,
    startedUs: 0,
    recordResults: session !== undefined,
    rows: 0,
    bytes: 0,
    masked: new Map(),
  };
  state.inflight.push({ kind: 'Execute', execution, run, barrier: false });
  const chunk = Buffer.concat(
    Array.from({ length: rowsPerChunk }, (_, id) =>
      dataRow(load.row(id).map((value) => Buffer.from(value))),
    ),
  );
  const work = Buffer.alloc(chunk.length);
  const rates: number[] = [];
  for (let round = 0; round < 7; round += 1) {
    const began = performance.now();
    for (let turn = 0; turn < chunksPerRound; turn += 1) {
      chunk.copy(work);
      responses.feed(work);
    }
    const seconds = (performance.now() - began) / 1000;
    if (round >= 2) rates.push((rowsPerChunk * chunksPerRound) / seconds / 1e6);
  }
  session?.close();
  if (out === 0) throw new Error('nothing came out');
  return rates;
}

/** A customer's row of 211 bytes: type, length, six columns. */
export const customers = {
  sql: 'SELECT id, name, email, ssn, balance, notes FROM customers',
  types: [23, 25, 25, 25, 1700, 25],
  row(id: number): readonly string[] {
    const values = [
      String(10_000 + id),
      'Ada Abara'.padEnd(20, 'x'),
      `${`customer${id}`.padStart(22, 'x')}@example.com`,
      `900-00-${String(id).padStart(4, '0')}`,
      '10000.01',
    ];
    const used = values.reduce((sum, value) => sum + value.length, 0);
    values.push('lorem ipsum '.repeat(20).slice(0, 211 - 7 - 6 * 4 - used));
    return values;
  },
} as const;
