/** The part of a pino logger that the collector uses. */
export interface CollectorLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
