import type { Socket } from 'node:net';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { errorCatalogue } from '@chaperone/runtime/errors/catalogue.ts';
import { errorReport } from './errors/refusal.ts';
import { endWith } from './handshake/end-with.ts';

/** Who is told at the same time; of more, connections are closed without a word. */
const maxTold = 100;

const tooMany = errorReport({
  severity: 'FATAL',
  sqlstate: '53300',
  message: 'too many callers are at their login (CHP-5009)',
  hint: errorCatalogue['CHP-5009'].remedy,
});

/**
 * Ends connections for which there is no room. They are told so in the protocol's words, before they have said
 * anything: a client that begins with TLS reports that the server answered with an error.
 */
export class TurnAway {
  readonly #clock: Clock;
  #told = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  end(socket: Socket): void {
    if (this.#told >= maxTold) {
      socket.destroy();
      return;
    }
    this.#told += 1;
    socket.once('close', () => {
      this.#told -= 1;
    });
    endWith(socket, tooMany, this.#clock);
  }
}
