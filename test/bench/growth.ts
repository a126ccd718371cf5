/** In this process: what costs grow with. Rules, masked columns, detectors, and the size of a statement. */
import { compileTarget } from '@chaperone/core/policy/compile.ts';
import { decide } from '@chaperone/core/policy/decide.ts';
import type { BundleMask, BundleRule } from '@chaperone/core/policy/types.ts';
import { loadParser } from '@chaperone/core/sql/postgres/parser.ts';
import { catalogOf } from '@chaperone/core/sql/postgres/test-catalog.ts';
import { bundle, identity, mask, rule } from '@chaperone/core/testing/policy-fixtures.ts';
import { corpus } from './corpus.ts';
import { decideText, freshContext, masks, request, rules, timeEach } from './deciding.ts';
import { goals } from './goals.ts';
import { type Figure, median, quantile, spread } from './report.ts';
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

/** A decision without any cache, by the number of rules in force; and what taking them up costs. */
export async function byRules(): Promise<Figure[]> {
  await loadParser();
  const section = 'rules';
  const context = freshContext();
  const statements = corpus(0).map((text) => context.analyze(text).analysis.statements[0]!);
  const figures: Figure[] = [];
  const medians: number[] = [];
  for (const count of [10, 100, 1000, 10_000]) {
    const all = bundle(manyRules(count), masks);
    const compiled = timeEach([0, 1, 2, 3, 4], () => compileTarget(all, identity()));
    const policy = compileTarget(all, identity());
    const rounds: number[][] = [];
    for (let round = 0; round < 8; round += 1) {
      const times = timeEach(statements, (one) => decide(policy, one, request));
      if (round >= 3) rounds.push(times);
    }
    const each = rounds.map(median);
    const whole = timeEach(corpus(0), (text) =>
      decideText(freshContext({ rules: all.rules }), text),
    );
    medians.push(median(each));
    figures.push({
      section,
      figure: `decision without a cache, ${count} rules`,
      measured: `${spread(each, 1, ' µs')}, p99 ${quantile(rounds.flat(), 0.99).toFixed(1)} µs; parsed and analyzed as well ${median(whole).toFixed(0)} µs; policy compiled in ${(median(compiled) / 1000).toFixed(1)} ms`,
      samples: { us: each, compileUs: compiled },
    });
  }
  const growth = medians.at(-1)! / medians[0]!;
  figures.push({
    section,
    figure: 'decision without a cache, 10,000 rules / 10',
    goal: goals.rulesGrowth,
    value: growth,
    measured: growth.toFixed(2),
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
      // The text is read from its bytes as the frontend does it: a new string has no hash yet.
      const decideBytes = (context: ReturnType<typeof freshContext>, from: Buffer): number =>
        timeEach([from], (buffer) => decideText(context, buffer.toString('utf8')))[0]!;
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
        measured: `same text ${microseconds(hit)}, other literals ${microseconds(formHit)}, never seen ${microseconds(miss)}`,
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
