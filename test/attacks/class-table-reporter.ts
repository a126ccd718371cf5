/** Prints, at the end of a run, how many cases of each attack class passed: a reporter for jest. */
import { basename } from 'node:path';

interface Results {
  readonly testResults: readonly {
    readonly testFilePath: string;
    readonly testResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

const classes: readonly (readonly [number, string])[] = [
  [1, 'lengths that lie'],
  [2, 'messages cut and joined'],
  [3, 'in the clear around TLS'],
  [4, 'hostile backend'],
  [5, 'cancel keys'],
  [7, 'comments, quotes, encodings'],
  [8, 'search path, role, settings'],
  [9, 'destruction in disguise'],
  [10, 'not analyzable'],
  [11, 'decided then, run now'],
  [12, 'protected values in results'],
  [13, 'types and formats of masks'],
  [14, 'detectors over cut values'],
  [17, 'state of another session'],
  [19, 'refusals in transactions'],
  [21, 'secrets'],
  [23, 'the record under faults'],
  [25, 'hostile text in the record'],
  [26, 'slow patterns and policies'],
];

/** By the name's own mark, else by where the case stands. */
function classOf(file: string, name: string): number {
  const marked = /§(\d+)/.exec(name);
  if (marked !== null) return Number(marked[1]);
  switch (file) {
    case 'opening.test.ts':
      return 3;
    case 'results.test.ts':
    case 'definitions.test.ts':
      return 12;
    case 'names.test.ts':
      return name.startsWith('between Parse and Execute') ? 11 : 8;
    case 'transactions.test.ts':
      return 19;
    case 'values.test.ts':
      return name.includes('detectors') ? 14 : 13;
    case 'record.test.ts':
      return 21;
    case 'framing.test.ts':
      if (!name.startsWith('a client')) return 4;
      return /cut at|byte by byte|without reading/.test(name) ? 2 : 1;
    default:
      return /startup parameter|login role/.test(name)
        ? 8
        : /encodings|UTF-8|caps|JavaScript/.test(name)
          ? 7
          : 10;
  }
}

export default class ClassTableReporter {
  onRunComplete(_contexts: unknown, results: Results): void {
    const counts = new Map<number, { passed: number; failed: number }>();
    for (const { testFilePath, testResults } of results.testResults) {
      const faults = testFilePath.includes('/test/faults/');
      if (!faults && !testFilePath.includes('/test/attacks/')) continue;
      for (const { fullName, status } of testResults) {
        if (status !== 'passed' && status !== 'failed') continue;
        const number = faults ? 23 : classOf(basename(testFilePath), fullName);
        const count = counts.get(number) ?? { passed: 0, failed: 0 };
        count[status] += 1;
        counts.set(number, count);
      }
    }
    process.stdout.write('\nclass                                   passed  failed\n');
    for (const [number, title] of classes) {
      const { passed, failed } = counts.get(number) ?? { passed: 0, failed: 0 };
      const name = `§${number} ${title}`.padEnd(40);
      process.stdout.write(`${name}${String(passed).padStart(6)}${String(failed).padStart(8)}\n`);
    }
  }
}
