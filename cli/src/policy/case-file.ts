/** Files of expectations about policies, for use in CI. */

import { parsePlainYaml } from '@chaperone/control/store/yaml-file.ts';
import { formatProblem } from '@chaperone/core/resources/problem.ts';
import type { StructuralSchema } from '@chaperone/core/resources/schema.ts';
import { applySchema } from '@chaperone/core/resources/structural.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { Answer } from './policy-case.ts';
import { isScan } from './render-answer.ts';

export interface Expectation {
  readonly name: string;
  readonly identity: string;
  readonly target: string;
  readonly statement: string;
  readonly expect: 'Allow' | 'Deny' | 'RequireApproval';
  /** `POLICY/RULE` that has to be among those that decided; `default` for none. */
  readonly rule?: string;
  /** Names of output columns that a transform has to mask, exactly; detectors, which mask on a hit, aside. */
  readonly masked?: readonly string[];
  /** RFC 3339: the time of the request; now where it is not given. */
  readonly at?: string;
}

const text = { type: 'string', minLength: 1, maxLength: 100_000 } as const;
const schema: StructuralSchema = {
  type: 'array',
  maxItems: 10_000,
  items: {
    type: 'object',
    required: ['name', 'identity', 'target', 'statement', 'expect'],
    properties: {
      name: text,
      identity: text,
      target: text,
      statement: text,
      expect: { type: 'string', enum: ['Allow', 'Deny', 'RequireApproval'] },
      rule: text,
      masked: { type: 'array', items: text },
      at: { type: 'string', format: 'date-time' },
    },
  },
};

/** Throws CHP-1002 with every problem of the file. */
export function parseCases(content: string, file: string): readonly Expectation[] {
  let parsed: unknown;
  try {
    parsed = parsePlainYaml(content);
  } catch (cause) {
    throw new ChaperoneError('CHP-1002', `${file}: ${(cause as Error).message}`, { cause });
  }
  const { value, problems } = applySchema(parsed, schema, 'cases');
  if (problems.length > 0) {
    const lines = problems.map((problem) => formatProblem(problem, undefined, file));
    throw new ChaperoneError('CHP-1002', lines.join('\n'));
  }
  return value as readonly Expectation[];
}

/** What is not as expected; empty when all is. */
export function mismatches(expected: Expectation, answer: Answer): string[] {
  const found: string[] = [];
  if (answer.verdict !== expected.expect) {
    found.push(`expected ${expected.expect}, got ${answer.verdict}`);
  }
  if (expected.rule !== undefined) {
    const rules = answer.statements.flatMap(({ rules: decided }) => decided);
    const matches =
      expected.rule === 'default'
        ? rules.length === 0
        : rules.some((rule) => isRule(rule, expected.rule!));
    if (!matches) {
      found.push(`expected rule ${expected.rule}, got ${rules.join('; ') || 'default'}`);
    }
  }
  if (expected.masked !== undefined) {
    const masked = answer.statements.flatMap(({ masks }) =>
      masks.filter((mask) => !isScan(mask)).map(({ column }) => column),
    );
    if (masked.join() !== expected.masked.join()) {
      found.push(`expected masks on ${list(expected.masked)}, got ${list(masked)}`);
    }
  }
  return found;
}

const list = (names: readonly string[]): string =>
  names.length === 0 ? 'nothing' : names.join(', ');

/** `rule read of AccessPolicy data/reports`, told as `reports/read` or `data/reports/read`. */
function isRule(described: string, wanted: string): boolean {
  const parts = /^(?:rule (\S+) of )?\S+ (\S+)\/(\S+)$/.exec(described);
  if (parts === null) return false;
  const [, rule, namespace, object] = parts;
  const short = rule === undefined ? object : `${object}/${rule}`;
  return wanted === short || wanted === `${namespace}/${short}`;
}
