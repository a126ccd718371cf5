import type { SessionClosed } from '@chaperone/core/events/types.ts';

const words: Readonly<Record<SessionClosed['reason'], string>> = {
  Client: 'ended by client',
  Backend: 'ended by backend',
  Suspended: 'ended: identity suspended',
  Expired: 'ended: ticket or identity expired',
  PolicyWithdrawn: 'ended: policy withdrawn',
  IdleTimeout: 'ended: idle too long',
  MaxDuration: 'ended: session time over',
  Shutdown: 'ended: chaperone stopped',
  ProtocolViolation: 'ended: protocol violation',
  Refused: 'refused',
  Recorder: 'ended: could not be recorded',
  Error: 'ended by an error',
};

/** Why a session ended, for people; a reason that a newer program gave stays as it is. */
export function closeReasonText(reason: string): string {
  return Object.hasOwn(words, reason) ? words[reason as SessionClosed['reason']] : reason;
}
