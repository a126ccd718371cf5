/** What the load asks for: a known mix, each statement with a number that is found again in the record and the database. */

/**
 * `Insert`, `Masked` and `Probe` are allowed (`Probe` until a test forbids it); `Read` and `Write` are refused, and
 * `Write` would leave a trace in the database if it went out.
 */
export const statementKinds = ['Insert', 'Masked', 'Probe', 'Read', 'Write'] as const;
export type StatementKind = (typeof statementKinds)[number];

export interface NumberedStatement {
  readonly text: string;
  readonly values?: readonly (string | number)[];
}

/** The number stands in an alias: literals are not kept in the record. */
export function numberedStatement(kind: StatementKind, number: number): NumberedStatement {
  const alias = `s${number}`;
  switch (kind) {
    case 'Insert':
      return {
        text: `INSERT INTO orders AS ${alias} (id, customer_id, total, placed_at) VALUES ($1, $2, $3, clock_timestamp())`,
        values: [number, 1, 7],
      };
    case 'Masked':
      return { text: `SELECT ssn AS ${alias} FROM customers WHERE id = 1` };
    case 'Probe':
      return { text: `SELECT name AS ${alias} FROM products WHERE id = 1` };
    case 'Read':
      return { text: `SELECT salary AS ${alias} FROM employees` };
    case 'Write':
      return { text: `UPDATE customers AS ${alias} SET notes = '${alias}' WHERE id = 1` };
  }
}

/** The number in a statement's text, as the record has it. */
export function numberIn(text: string): number | undefined {
  const digits = /\bs(\d+)\b/.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
