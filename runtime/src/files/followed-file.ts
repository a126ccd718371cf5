import { readFileSync, statSync } from 'node:fs';
import { ChaperoneError } from '../errors/chaperone-error.ts';

/** No file that a program is given is longer. */
const maxBytes = 1024 * 1024;

/**
 * A file that is replaced while a program runs, as kubelet does with tokens, ConfigMaps and Secrets. Whoever
 * asks gets what it holds now; looking costs one stat call.
 */
export class FollowedFile {
  readonly path: string;
  #signature = '';
  #text = '';

  constructor(path: string) {
    this.path = path;
  }

  /** Throws ChaperoneError CHP-1004 when it cannot be read. */
  text(): string {
    try {
      const { ino, size, mtimeNs } = statSync(this.path, { bigint: true });
      const signature = `${ino} ${size} ${mtimeNs}`;
      if (signature !== this.#signature) {
        if (size > maxBytes) throw new Error(`it is longer than ${maxBytes} bytes`);
        this.#text = readFileSync(this.path, 'utf8');
        this.#signature = signature;
      }
      return this.#text;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ChaperoneError('CHP-1004', `${this.path} cannot be read: ${reason}`, { cause });
    }
  }
}
