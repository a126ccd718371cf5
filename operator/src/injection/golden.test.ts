import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import type { InjectionNamespace, InjectionService } from './eligibility.ts';
import { jsonPatch } from './json-patch.ts';
import { type CheckedPod, podProblem } from './pod.ts';
import { renderPod } from './render.ts';
import type { InjectionSettings } from './settings.ts';
import { type ContextParts, contextOf, target } from './testing.ts';
import { verifyPod } from './verify.ts';

const directory = join(import.meta.dirname, '../../../test/golden/injection');

interface Case {
  readonly about: string;
  readonly namespace?: InjectionNamespace;
  readonly targets?: readonly {
    readonly name: string;
    readonly spec?: Readonly<Record<string, unknown>>;
    readonly created?: string;
  }[];
  readonly services?: Readonly<Record<string, readonly InjectionService[]>>;
  readonly settings?: Partial<InjectionSettings>;
  readonly pod: CheckedPod;
}

function read(name: string): Case {
  const given = parse(readFileSync(join(directory, `${name}.yaml`), 'utf8')) as Case;
  // What a case leaves out is as in every pod.
  return { ...given, pod: { ...given.pod, apiVersion: 'v1', kind: 'Pod' } };
}

function contextFor({ targets, ...rest }: Case): ReturnType<typeof contextOf> {
  const parts: ContextParts = {
    ...rest,
    ...(targets && {
      targets: targets.map(({ name, spec, created }) => target(name, spec, created)),
    }),
  };
  return contextOf(parts);
}

const cases = readdirSync(directory)
  .filter((file) => file.endsWith('.yaml'))
  .map((file) => file.slice(0, -'.yaml'.length));

describe('what injection makes of a pod', () => {
  test.each(cases)('%s', (name) => {
    const given = read(name);
    expect(podProblem(given.pod)).toBeUndefined();
    const { outcome, ...rendered } = renderPod(given.pod, contextFor(given));
    const { pod, ...details } = 'pod' in rendered ? rendered : { ...rendered, pod: undefined };
    const result = {
      outcome,
      ...details,
      ...(pod && { patch: jsonPatch(given.pod, pod) }),
    };
    const file = join(directory, `${name}.patch.json`);
    const text = `${JSON.stringify(result, null, 2)}\n`;
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, text);
    expect(text).toBe(readFileSync(file, 'utf8'));
  });

  test.each(cases)('%s: once more changes nothing, and passes verification', (name) => {
    const given = read(name);
    const context = contextFor(given);
    const first = renderPod(given.pod, context);
    if (first.outcome !== 'Injected') return;
    const again = renderPod(first.pod, context);
    expect(again).toEqual(first);
    expect(verifyPod(first.pod, context)).toEqual(first);
    if (jsonPatch(given.pod, first.pod).length > 0) {
      expect(verifyPod(given.pod, context)).toMatchObject({ reason: 'Altered' });
    }
  });
});
