/** What is to be reached: `solid` is what a release is held to, `moonshot` what nobody offers today. */

export interface Goal {
  readonly direction: 'AtLeast' | 'AtMost';
  readonly solid: number;
  /** Absent: there is nothing beyond. */
  readonly moonshot?: number;
  /** Of both, with the space before it. */
  readonly unit: string;
}

const atLeast = (solid: number, moonshot?: number, unit = ''): Goal => ({
  direction: 'AtLeast',
  solid,
  ...(moonshot !== undefined && { moonshot }),
  unit,
});
const atMost = (...figures: Parameters<typeof atLeast>): Goal => ({
  ...atLeast(...figures),
  direction: 'AtMost',
});

export const goals = {
  /** Statements a second over pgbouncer's, both over TCP. */
  smallToPeer: atLeast(0.8, 0.95),
  /** Ours over UNIX sockets, pgbouncer's over TCP. */
  unixToPeer: atLeast(1, 1.3),
  cpuPerStatement: atMost(40, 25, ' µs'),
  addedP50: atMost(50, 25, ' µs'),
  p99ToPeer: atMost(1.5, 1.1),
  hundredRowsToPeer: atLeast(1, 1.2),
  /** Beyond 0.98 of the direct way nothing can be told from noise. */
  bulkToDirect: atLeast(0.95, 0.98),
  maskedRows: atLeast(3, 4.5, ' M/s'),
  maskedAndRecordedRows: atLeast(1.5, 3, ' M/s'),
  searchedRows: atLeast(1, 2.5, ' M/s'),
  rssUnderLoad: atMost(80, 64, ' MiB'),
  rssIdle: atMost(60, 50, ' MiB'),
  newConnections: atLeast(0.75, 0.95),
  decisionHitP99: atMost(50, undefined, ' µs'),
  decisionMissP99: atMost(500, undefined, ' µs'),
  /** 10,000 rules over 10: what is decided is looked up, not searched. */
  rulesGrowth: atMost(1.5, 1.1),
  /** A result of a gigabyte: what it adds to the memory. */
  streamedGrowth: atMost(256, 64, ' MiB'),
} as const satisfies Readonly<Record<string, Goal>>;

export function reached(goal: Goal, value: number): 'moonshot' | 'solid' | 'short' {
  const holds = (bound: number): boolean =>
    goal.direction === 'AtLeast' ? value >= bound : value <= bound;
  if (goal.moonshot !== undefined && holds(goal.moonshot)) return 'moonshot';
  return holds(goal.solid) ? 'solid' : 'short';
}

/** As the table shows it: solid and moonshot. */
export function goalText({ direction, solid, moonshot, unit }: Goal): [string, string] {
  const sign = direction === 'AtLeast' ? '≥' : '≤';
  return [`${sign} ${solid}${unit}`, moonshot === undefined ? '' : `${sign} ${moonshot}${unit}`];
}
