/** A row of the table at the end. */
export interface FaultRow {
  readonly fault: string;
  readonly level: string;
  readonly client: string;
  readonly database: string;
  readonly record: string;
  readonly contradictions: number;
}

/** Where the reporter collects rows; unset where none runs. */
export const rowsFileVariable = 'CHAPERONE_FAULT_ROWS';
