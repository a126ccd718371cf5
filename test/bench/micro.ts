/** Parts by themselves, in this process: what a decision, a row, an event and a normal form cost. */
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OperationDecided } from '@chaperone/core/events/types.ts';
import { compileTarget } from '@chaperone/core/policy/compile.ts';
import { decide } from '@chaperone/core/policy/decide.ts';
import type { BundleMask, BundleRule } from '@chaperone/core/policy/types.ts';
import { normalize } from '@chaperone/core/sql/postgres/normalize.ts';
import { loadParser } from '@chaperone/core/sql/postgres/parser.ts';
import { bundle, identity, mask, nowMs, rule } from '@chaperone/core/testing/policy-fixtures.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import type { SpoolRecorder } from '@chaperone/runtime/recorder/options.ts';
import { createRecorder } from '@chaperone/runtime/recorder/recorder.ts';
import type { ShippedEvent } from '@chaperone/runtime/recorder/transport.ts';
import type {
  Execution,
  StatementRun,
} from '@chaperone/sidecar/protocols/postgres/backend/expectation.ts';
import { bindMasks } from '@chaperone/sidecar/protocols/postgres/backend/mask-binding.ts';
import { Responses } from '@chaperone/sidecar/protocols/postgres/backend/responses.ts';
import {
  type DecidedStatement,
  DecisionContext,
} from '@chaperone/sidecar/protocols/postgres/frontend/decision-context.ts';
import { dataRow } from '@chaperone/sidecar/protocols/postgres/messages/backend-writer.ts';
import { SessionState } from '@chaperone/sidecar/protocols/postgres/session-state.ts';
import { corpus, corpusCatalog } from './corpus.ts';
import { type Figure, median, quantile, spread } from './report.ts';

const section = 'micro';
const request = { nowMs };

const rules: readonly BundleRule[] = [
  rule('read', { classes: ['Read'], resources: ['shop.public.**'] }),
  rule('write', {
    classes: ['Write'],
    resources: ['shop.public.orders', 'shop.public.order_items'],
  }),
  rule('no-notes', {
    action: 'Deny',
    classes: ['Read'],
    resources: ['shop.public.customers'],
    columns: { only: ['secret'] },
  }),
];
const masks: readonly BundleMask[] = [
  mask('email', { columns: ['shop.public.*.email'], transform: { type: 'Partial', keepFirst: 2 } }),
  mask('ssn', {
    columns: ['shop.public.customers.ssn'],
    transform: { type: 'Partial', keepLast: 4 },
  }),
];

function contextWith(allRules = rules, allMasks = masks): DecisionContext {
  return new DecisionContext(
    {
      policy: compileTarget(bundle(allRules, allMasks), identity()),
      policyDigest: '0'.repeat(64),
      catalog: corpusCatalog,
      database: 'shop',
      currentUser: 'app',
      searchPath: ['pg_catalog', 'public'],
    },
    () => '0'.repeat(32),
  );
}

/** As the frontend does for a simple Query. */
function decideText(context: DecisionContext, text: string): DecidedStatement {
  const { analysis, fingerprint } = context.analyze(text);
  const statement = analysis.statements[0];
  if (statement === undefined) throw new Error(`not analyzed: ${text}`);
  return context.decide(statement, fingerprint, 'Simple', request);
}

/** Microseconds of each call. */
function timeEach<T>(items: readonly T[], run: (item: T) => void): number[] {
  return items.map((item) => {
    const began = process.hrtime.bigint();
    run(item);
    return Number(process.hrtime.bigint() - began) / 1000;
  });
}

/** `rounds`: the times of the same items, round after round. */
function percentiles(rounds: readonly (readonly number[])[]): string {
  const all = rounds.flat();
  // On a machine that others use, single calls are interrupted; the median over the rounds is not.
  const medians = rounds[0]!.map((_, item) => median(rounds.map((times) => times[item]!)));
  const us = (value: number): string => `${value.toFixed(1)} µs`;
  return `p50 ${us(quantile(all, 0.5))}, p99 ${us(quantile(all, 0.99))} (p99 of each statement's median: ${us(quantile(medians, 0.99))})`;
}

function decisions(): Figure[] {
  const first = corpus(0);
  for (const text of first) {
    const { refusal } = decideText(contextWith(), text);
    if (refusal !== undefined) throw new Error(`refused: ${text}: ${refusal.message}`);
  }
  // The analysis of some depends on a literal, so that other literals are another statement.
  const others = corpus(1).filter((text, at) => {
    const { safe, normalForm } = normalize(text);
    return safe && normalForm === normalize(first[at]!).normalForm;
  });
  const misses: number[][] = [];
  const exact: number[][] = [];
  const byForm: number[][] = [];
  for (let round = 0; round < 12; round += 1) {
    const context = contextWith();
    const missed = timeEach(first, (text) => decideText(context, text));
    const hit = timeEach(first, (text) => decideText(context, text));
    const formHit = timeEach(others, (text) => decideText(context, text));
    // The first rounds compile.
    if (round < 2) continue;
    misses.push(missed);
    exact.push(hit);
    byForm.push(formHit);
  }
  const figure = (name: string, limit: number, runs: readonly (readonly number[])[]): Figure => {
    const all = runs.flat();
    return {
      section,
      figure: `decision, ${name}, statements < 1 KB`,
      goal: `p99 ≤ ${limit} µs`,
      measured: percentiles(runs),
      ok: quantile(all, 0.99) <= limit,
      samples: { p50: [quantile(all, 0.5)], p99: [quantile(all, 0.99)] },
    };
  };
  return [
    figure(`cache hit (same text), ${first.length}`, 50, exact),
    figure(`cache hit (other literals), ${others.length}`, 50, byForm),
    figure(`cache miss, ${first.length}`, 500, misses),
  ];
}

/** What one decision costs without any cache, by the number of rules of which few concern the statement. */
function rulesInForce(): Figure[] {
  const context = contextWith();
  const statements = corpus(0).map((text) => context.analyze(text).analysis.statements[0]!);
  const measured = [10, 100, 1000, 10_000].map((count) => {
    const many: BundleRule[] = [...rules];
    while (many.length < count) {
      const name = `rule-${many.length}`;
      many.push(
        rule(name, {
          action: many.length % 3 === 0 ? 'Deny' : 'Allow',
          classes: ['Read'],
          resources: [`shop.public.table_${many.length}`],
        }),
      );
    }
    const policy = compileTarget(bundle(many, masks), identity());
    for (let warm = 0; warm < 3; warm += 1)
      timeEach(statements, (one) => decide(policy, one, request));
    const times = timeEach(statements, (one) => decide(policy, one, request));
    return { count, times };
  });
  return [
    {
      section,
      figure: 'decide(), uncached, by number of rules',
      goal: '',
      measured: measured
        .map(
          ({ count, times }) =>
            `${count}: ${median(times).toFixed(1)}/${quantile(times, 0.99).toFixed(1)}`,
        )
        .join(', ')
        .concat(' µs (p50/p99)'),
      samples: Object.fromEntries(
        measured.map(({ count, times }) => [String(count), [median(times)]]),
      ),
    },
  ];
}

function normalForms(): Figure[] {
  const texts = corpus(0);
  const rounds: number[] = [];
  for (let round = 0; round < 12; round += 1) {
    const began = performance.now();
    for (const text of texts) normalize(text);
    if (round >= 2) rounds.push(((performance.now() - began) * 1000) / texts.length);
  }
  return [
    { section, figure: 'normal form of a statement', goal: '', measured: spread(rounds, 1, ' µs') },
  ];
}

/** 211 bytes a row: type, length, six columns. */
function rowChunk(): { readonly chunk: Buffer; readonly rows: number } {
  const made: Buffer[] = [];
  const rows = 300;
  for (let id = 0; id < rows; id += 1) {
    const values = [
      String(10_000 + id),
      'Ada Abara'.padEnd(20, 'x'),
      `${`customer${id}`.padStart(22, 'x')}@example.com`,
      `900-00-${String(id).padStart(4, '0')}`,
      '10000.01',
    ];
    const used = values.reduce((sum, value) => sum + value.length, 0);
    values.push('lorem ipsum '.repeat(20).slice(0, 211 - 7 - 6 * 4 - used));
    made.push(dataRow(values.map((value) => Buffer.from(value))));
  }
  const chunk = Buffer.concat(made);
  if (chunk.length !== rows * 211) throw new Error(`rows of ${chunk.length / rows} bytes`);
  return { chunk, rows };
}

const maskedQuery = 'SELECT id, name, email, ssn, balance, notes FROM customers';

/** Rows through the whole backend side: framing, limits, masks, and the record where one is given. */
function masking(
  name: string,
  goal: number,
  wantedMasks: number,
  withMasks: readonly BundleMask[],
  recorder?: SpoolRecorder,
): Figure {
  const context = contextWith(rules, withMasks);
  const decided = decideText(context, maskedQuery);
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
      leaking: failed,
      nowMs: () => nowMs,
    },
    { maxMaskedRowBytes: 1 << 24 },
  );
  const types = [23, 25, 25, 25, 1700, 25];
  const bound = bindMasks(decided.permit?.masks.columns ?? [], types, () => 0);
  if ('why' in bound) throw new Error(bound.why);
  const masked = bound.masks?.filter((one) => one !== null).length ?? 0;
  if (masked !== wantedMasks) throw new Error(`${masked} fields are masked`);
  const mustMask = bound.masker !== undefined;
  const run: StatementRun = { decided, mustMask, masks: bound.masks, rows: 0, bytes: 0 };
  if (bound.masker !== undefined) run.masker = bound.masker;
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
  const { chunk, rows } = rowChunk();
  const work = Buffer.alloc(chunk.length);
  const rates: number[] = [];
  for (let round = 0; round < 7; round += 1) {
    const began = performance.now();
    const turns = 500;
    for (let turn = 0; turn < turns; turn += 1) {
      chunk.copy(work);
      responses.feed(work);
    }
    if (round >= 2) rates.push((rows * turns) / ((performance.now() - began) / 1000) / 1e6);
  }
  session?.close();
  if (out === 0) throw new Error('nothing came out');
  return {
    section,
    figure: name,
    goal: `≥ ${goal} M rows/s`,
    measured: spread(rates, 2, ' M rows/s'),
    ok: median(rates) >= goal,
    samples: { millions: rates },
  };
}

async function recording(recorder: SpoolRecorder): Promise<Figure> {
  const session = recorder.openSession();
  const context = contextWith();
  const bodies: { readonly event: OperationDecided; readonly statement: string }[] = corpus(0).map(
    (text) => ({
      event: decideText(context, text).event,
      statement: context.analyze(text).redacted,
    }),
  );
  const times: number[] = [];
  for (let round = 0; round < 40; round += 1) {
    const began = performance.now();
    for (const { event, statement } of bodies) session.append(event, { statement });
    await new Promise<void>((resolve) => recorder.whenDurable('Process', () => resolve()));
    if (round >= 10) times.push(((performance.now() - began) * 1000) / bodies.length);
  }
  session.close();
  return {
    section,
    figure: 'event appended and written, with its statement',
    goal: '',
    measured: spread(times, 1, ' µs'),
    samples: { us: times },
  };
}

export async function micro(): Promise<Figure[]> {
  await loadParser();
  const directory = mkdtempSync(join(tmpdir(), 'chaperone-bench-micro-'));
  const recorder = createRecorder({
    directory: join(directory, 'spool'),
    transport: {
      ship: (_session, lines) => Promise.resolve((JSON.parse(lines.at(-1)!) as ShippedEvent).seq),
      putRecording: () => Promise.resolve(),
      putSnapshot: () => Promise.resolve(),
    },
    maxBytes: 1 << 30,
    installationKey: Buffer.alloc(32, 7),
    program: { name: 'bench', version: '0' },
    clock: systemClock(),
    random: (target) => void randomFillSync(target),
    logger: { info() {}, warn() {}, error: (fields, message) => console.error(message, fields) },
  });
  const detector = mask('cards', {
    detectors: ['PaymentCard'],
    resources: ['shop.public.customers'],
    transform: { type: 'Partial', keepLast: 4 },
  });
  try {
    return [
      ...decisions(),
      ...rulesInForce(),
      ...normalForms(),
      masking('rows framed, not masked', 3, 0, []),
      masking('rows masked in 2 of 6 columns', 3, 2, masks),
      masking('rows searched for card numbers in every text field (4 of 6)', 1, 4, [detector]),
      masking('rows masked and recorded', 1.5, 2, masks, recorder),
      await recording(recorder),
    ];
  } finally {
    await recorder.close();
    rmSync(directory, { recursive: true, force: true });
  }
}
