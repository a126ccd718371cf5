/** What one client of the soak believes; the record and the database must agree. */
export interface ClientTally {
  readonly name: string;
  /** Connections that were established. */
  readonly logins: number;
  /** Statements that were refused by policy (42501). */
  readonly refused: number;
  /** Rows whose insertion was committed and acknowledged. */
  readonly inserted: number;
  /** Statements or commits whose outcome the client was not told: its session ended meanwhile. */
  readonly lost: number;
  /** Statements that a cancel request ended (57014). */
  readonly cancelled: number;
  /** Protected values that came as they are. Anything but 0 is a leak. */
  readonly bare: number;
  /** Statements that were answered as expected. */
  readonly answered: number;
  /** Outcomes that nothing explains: what the client was told, and how often. */
  readonly strange: Readonly<Record<string, number>>;
}

/** One comparison of what clients, database and record say. */
export interface Agreement {
  readonly what: string;
  readonly clients: number;
  readonly others: string;
  readonly agree: boolean;
}

/** What the record and the database hold. */
export interface Facts {
  /** Refusals of statements by policy. */
  readonly refusals: number;
  /** Those that were turned away at once, since the identity was suspended, are not among them. */
  readonly sessionsOpened: number;
  readonly sessionsClosed: number;
  /** Inserts that were allowed. */
  readonly insertsAllowed: number;
  /** Rows of the table that they went into. */
  readonly rows: number;
  /** Ranges of events that the collector misses. */
  readonly missing: number;
  readonly alerts: number;
}

/** Every comparison; what a client was not told may have happened or not. */
export function compare(clients: readonly ClientTally[], facts: Facts): Agreement[] {
  const sum = (of: (tally: ClientTally) => number): number =>
    clients.reduce((total, tally) => total + of(tally), 0);
  const lost = sum((tally) => tally.lost);
  const within = (what: string, count: number, name: string, found: number): Agreement => ({
    what,
    clients: count,
    others: `${name}: ${found} (${lost} untold)`,
    agree: count <= found && found <= count + lost,
  });
  const exactly = (what: string, expected: number, name: string, found: number): Agreement => ({
    what,
    clients: expected,
    others: `${name}: ${found}`,
    agree: expected === found,
  });
  const inserted = sum((tally) => tally.inserted);
  const strange = sum((tally) => Object.values(tally.strange).reduce((a, b) => a + b, 0));
  return [
    within(
      'statements refused',
      sum((tally) => tally.refused),
      'record',
      facts.refusals,
    ),
    within('rows inserted', inserted, 'database', facts.rows),
    {
      what: 'rows inserted',
      clients: inserted,
      others: `inserts allowed in the record: ${facts.insertsAllowed}`,
      agree: facts.insertsAllowed >= facts.rows,
    },
    // One that is suspended before it hears that it is logged in counts no login.
    within(
      'sessions opened',
      sum((tally) => tally.logins),
      'record',
      facts.sessionsOpened,
    ),
    exactly('sessions closed', facts.sessionsOpened, 'record', facts.sessionsClosed),
    exactly(
      'protected values seen',
      0,
      'clients',
      sum((tally) => tally.bare),
    ),
    exactly('outcomes that nothing explains', 0, 'clients', strange),
    exactly('events missing', 0, 'collector', facts.missing),
    exactly('alerts', 0, 'collector', facts.alerts),
  ];
}
