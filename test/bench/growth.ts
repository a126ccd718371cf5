/** In this process: what costs grow with. Rules, masked columns, detectors, and the size of a statement. */
import { compileTarget } from '@chaperone/core/policy/compile.ts';
import { decide } from '@chaperone/core/policy/decide.ts';
import type { BundleMask, BundleRule } from '@chaperone/core/policy/types.ts';
import { loadParser } from '@chaperone/core/sql/postgres/parser.ts';
import { catalogOf } from '@chaperone/core/sql/postgres/test-catalog.ts';
import { bundle, identity, mask, rule } from '@chaperone/core/testing/policy-fixtures.ts';
import type { DecisionContext } from '@chaperone/sidecar/protocols/postgres/frontend/decision-context.ts';
import { corpus } from './corpus.ts';
import { decideText, freshContext, masks, request, rules, timeEach } from './deciding.ts';
import { goals } from './goals.ts';
import { against, type Figure, median, quantile, ratios, spread } from './report.ts';
import { customers, rowRates } from './row-rate.ts';

/** `count` rules, three of which concern the statements. */
function manyRules(count: number): readonly BundleRule[] {
  const many: BundleRule[] = [...rules];
  while (many.length < count) {
    many.push(
      rule(`rule-${many.length}`, {
        action: many.length % 3 === 0 ? 'Deny' : 'Allow',
        classes: ['Read'],
        resources: [`shop.public.table_${many.length}`],
      }),
    );
  }
  return many;
}

/** A decision without any cache, by the number of rules in force, in turns; and what taking them up costs. */
export async function byRules(): Promise<Figure[]> {
  await loadParser();
  const section = 'rules';
  const context = freshContext();
  const texts = corpus(0);
  const statements = texts.map((text) => context.analyze(text).analysis.statements[0]!);
  const sets = [10, 100, 1000, 10_000].map((count) => {
    const all = bundle(manyRules(count), masks);
    return {
      count,
      policy: compileTarget(all, identity()),
      compileUs: timeEach([0, 1, 2], () => compileTarget(all, identity())),
      rounds: [] as number[][],
    };
  });
  for (let round = 0; round < 14; round += 1) {
    for (const { policy, rounds } of sets) {
      const times = timeEach(statements, (one) => decide(policy, one, request));
      // The first rounds compile.
      if (round >= 4) rounds.push(times);
    }
  }
  const figures = sets.map(({ count, policy, compileUs, rounds }): Figure => {
    const each = rounds.map(median);
    // As for the percentiles elsewhere: of each statement's median, which no interruption is in.
    const ofStatements = statements.map((_, at) => median(rounds.map((times) => times[at]!)));
    const whole = timeEach(texts, (text) => decideText(freshContext({ policy }), text));
    return {
      section,
      figure: `decision without a cache, ${count} rules`,
      measured: `${spread(each, 1, ' µs')}, p99 ${quantile(ofStatements, 0.99).toFixed(1)} µs; parsed and analyzed as well ${median(whole).toFixed(0)} µs; policy compiled in ${(median(compileUs) / 1000).toFixed(1)} ms`,
      samples: { us: each, compileUs },
    };
  });
  const [least, most] = [sets[0]!, sets.at(-1)!].map(({ rounds }) => rounds.map(median));
  const growth = ratios(most!, least!);
  figures.push({
    section,
    figure: 'decision without a cache, 10,000 rules / 10',
    ...against(goals.rulesGrowth, growth),
    measured: spread(growth),
    samples: { growth },
  });
  return figures;
}

const columnNames = Array.from({ length: 10 }, (_, at) => `c${at}`);
const wideCatalog = catalogOf({ relations: { 'public.wide': { columns: columnNames } } });

/** Ten text columns of 20 bytes, of which some are masked. */
export async function byColumns(): Promise<Figure[]> {
  await loadParser();
  return [0, 1, 2, 5, 10].map((count) => {
    const rule = mask('columns', {
      columns: columnNames.slice(0, count).map((name) => `shop.public.wide.${name}`),
      transform: { type: 'Partial', keepLast: 4 },
    });
    const rates = rowRates({
      sql: `SELECT ${columnNames.join(', ')} FROM wide`,
      types: columnNames.map(() => 25),
      row: (id) => columnNames.map((name) => `${name} of row ${id}`.padEnd(20, 'x')),
      masks: count === 0 ? [] : [rule],
      masked: count,
      catalog: wideCatalog,
    });
    return perRow('columns', `a row of 10 text columns, ${count} masked`, rates);
  });
}

/** A customer's row, none of which a detector finds anything in: the price of looking. */
export async function byDetectors(): Promise<Figure[]> {
  await loadParser();
  const all: BundleMask['detectors'] = ['PaymentCard', 'Email', 'IBAN'];
  const sets = [[], ...all.map((one) => [one]), all.slice(0, 2), all];
  return sets.map((detectors) => {
    const rule = mask('detectors', {
      detectors,
      resources: ['shop.public.customers'],
      transform: { type: 'Partial', keepLast: 4 },
    });
    const rates = rowRates({
      ...customers,
      row: (id) => customers.row(id).map((value) => value.replace('@', '.')),
      masks: detectors.length === 0 ? [] : [rule],
      masked: detectors.length === 0 ? 0 : 4,
    });
    const names = detectors.length === 0 ? 'no detector' : detectors.join(', ');
    return perRow('detectors', `a row of 211 bytes, 4 text columns, ${names}`, rates);
  });
}

function perRow(section: string, figure: string, rates: readonly number[]): Figure {
  const ns = rates.map((millions) => 1000 / millions);
  return {
    section,
    figure,
    measured: `${spread(ns, 0, ' ns')}, ${median(rates).toFixed(2)} M rows/s`,
    samples: { ns },
  };
}

const kinds = {
  /** As ORMs load by key. */
  'a list of numbers': (bytes: number): string => {
    let text = 'SELECT id, name FROM customers WHERE id IN (1';
    for (let at = 100_000; text.length < bytes - 8; at += 1) text += `,${at}`;
    return `${text})`;
  },
  'one long literal': (bytes: number): string =>
    `SELECT id, name FROM customers WHERE notes = '${'x'.repeat(Math.max(bytes - 48, 1))}'`,
} as const;

/** Why a text is not analyzed at all, which is refused. Undefined: it is decided. */
function decideOrRefuse(context: DecisionContext, text: string): string | undefined {
  const { failure } = context.analyze(text).analysis;
  if (failure !== undefined) return failure.message;
  decideText(context, text);
  return undefined;
}

/** From the bytes of a statement to its decision: found by its text, by its normal form, and not found. */
export async function bySize(): Promise<Figure[]> {
  await loadParser();
  const figures: Figure[] = [];
  for (const [kind, make] of Object.entries(kinds)) {
    for (const bytes of [100, 1024, 10 * 1024, 100 * 1024, 1024 * 1024]) {
      const text = make(bytes);
      const original = Buffer.from(text);
      const altered = Buffer.from(text.replace(/1(?=[,)])|x(?=')/, '2'));
      const hit: number[] = [];
      const formHit: number[] = [];
      const miss: number[] = [];
      let refused: string | undefined;
      // The text is read from its bytes as the frontend does it: a new string has no hash yet.
      const decideBytes = (context: DecisionContext, from: Buffer): number =>
        timeEach([from], (buffer) => {
          refused = decideOrRefuse(context, buffer.toString('utf8'));
        })[0]!;
      const rounds = bytes > 200_000 ? 5 : 30;
      for (let round = 0; round < rounds + 2; round += 1) {
        const context = freshContext();
        const missed = decideBytes(context, original);
        const again = decideBytes(context, original);
        const other = decideBytes(context, altered);
        if (round < 2) continue;
        miss.push(missed);
        hit.push(again);
        formHit.push(other);
      }
      figures.push({
        section: 'sizes',
        figure: `decision, ${kind}, ${sizeText(original.length)}`,
        measured: `same text ${microseconds(hit)}, other literals ${microseconds(formHit)}, never seen ${microseconds(miss)}${refused === undefined ? '' : `; refused: ${refused}`}`,
        samples: { hit, formHit, miss },
      });
    }
  }
  return figures;
}

const sizeText = (bytes: number): string =>
  bytes < 1000 ? `${bytes} B` : `${Math.round(bytes / 1024)} KiB`;

function microseconds(values: readonly number[]): string {
  const value = median(values);
  return value < 1000 ? `${value.toFixed(1)} µs` : `${(value / 1000).toFixed(1)} ms`;
}
