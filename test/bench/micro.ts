/** Parts by themselves, in this process: what a decision, a row, an event and a normal form cost. */
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OperationDecided } from '@chaperone/core/events/types.ts';
import { normalize } from '@chaperone/core/sql/postgres/normalize.ts';
import { loadParser } from '@chaperone/core/sql/postgres/parser.ts';
import { mask } from '@chaperone/core/testing/policy-fixtures.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import type { SpoolRecorder } from '@chaperone/runtime/recorder/options.ts';
import { createRecorder } from '@chaperone/runtime/recorder/recorder.ts';
import { corpus } from './corpus.ts';
import { decideText, freshContext, masks, timeEach } from './deciding.ts';
import { type Goal, goals } from './goals.ts';
import { against, type Figure, median, quantile, spread } from './report.ts';
import { customers, type RowLoad, rowRates } from './row-rate.ts';

const section = 'micro';

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
    const { refusal } = decideText(freshContext(), text);
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
    const context = freshContext();
    const missed = timeEach(first, (text) => decideText(context, text));
    const hit = timeEach(first, (text) => decideText(context, text));
    const formHit = timeEach(others, (text) => decideText(context, text));
    // The first rounds compile.
    if (round < 2) continue;
    misses.push(missed);
    exact.push(hit);
    byForm.push(formHit);
  }
  const figure = (name: string, goal: Goal, runs: readonly (readonly number[])[]): Figure => {
    const all = runs.flat();
    return {
      section,
      figure: `decision, ${name}, statements < 1 KB: p99`,
      goal,
      value: quantile(all, 0.99),
      measured: percentiles(runs),
      samples: { p50: [quantile(all, 0.5)], p99: [quantile(all, 0.99)] },
    };
  };
  return [
    figure(`cache hit (same text), ${first.length}`, goals.decisionHitP99, exact),
    figure(`cache hit (other literals), ${others.length}`, goals.decisionHitP99, byForm),
    figure(`cache miss, ${first.length}`, goals.decisionMissP99, misses),
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
  return [{ section, figure: 'normal form of a statement', measured: spread(rounds, 1, ' µs') }];
}

function rows(
  figure: string,
  goal: Goal,
  load: Pick<RowLoad, 'masks' | 'masked' | 'recorder'>,
): Figure {
  const rates = rowRates({ ...customers, ...load });
  return {
    section,
    figure,
    ...against(goal, rates),
    measured: spread(rates, 2, ' M/s'),
    samples: { millions: rates },
  };
}

async function recording(recorder: SpoolRecorder): Promise<Figure> {
  const session = recorder.openSession();
  const context = freshContext();
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
      ship: (events) => Promise.resolve(events.lastSeq),
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
  const { maskedRows, searchedRows, maskedAndRecordedRows } = goals;
  try {
    return [
      ...decisions(),
      ...normalForms(),
      rows('rows framed, not masked', maskedRows, { masks: [], masked: 0 }),
      rows('rows masked in 2 of 6 columns', maskedRows, { masks, masked: 2 }),
      rows('rows searched for card numbers in every text field (4 of 6)', searchedRows, {
        masks: [detector],
        masked: 4,
      }),
      rows('rows masked and recorded', maskedAndRecordedRows, { masks, masked: 2, recorder }),
      await recording(recorder),
    ];
  } finally {
    await recorder.close();
    rmSync(directory, { recursive: true, force: true });
  }
}
