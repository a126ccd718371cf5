import { fdatasync, writeSync } from 'node:fs';

/**
 * The two calls by which a full or broken disk shows; a test stands in for the disk here. Everything else
 * goes to `node:fs` directly.
 */
export interface SpoolFiles {
  /** write(2) at a position; returns the bytes written, which may be fewer. */
  write(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): number;
  /** fdatasync(2), off the event loop. */
  datasync(fd: number, callback: (error: Error | null) => void): void;
}

export const nodeSpoolFiles: SpoolFiles = { write: writeSync, datasync: fdatasync };
