import type { PlannedMask } from '@chaperone/core/masking/types.ts';
import type { ContextKey } from '../frontend/decision-context.ts';
import { type ColumnDescription, parseRowDescription } from '../messages/backend-reader.ts';
import { HEADER_BYTES } from '../messages/frame.ts';
import { checkProvenance } from './provenance.ts';

/** A RowDescription, read and held against what was planned for it. */
export interface Description {
  readonly columns: readonly ColumnDescription[];
  /** A protected column that comes without a mask. */
  readonly leak: ReturnType<typeof checkProvenance>;
}

interface Known extends Description {
  readonly key: ContextKey;
  readonly bytes: Buffer;
  /** Epoch ms at which an exemption ends. */
  readonly untilMs: number;
}

type Planned = readonly (PlannedMask | null)[];

/** The last description of each plan; plans are made once for each decision, and shared by sessions. */
const known = new WeakMap<Planned, Known>();

/**
 * Reads the RowDescription `view[at, end)` (whole message) of a result that `planned` is for, decided under
 * `key`. The same bytes say the same as long as nothing changes that they are held against.
 * @throws ProtocolError when it is none
 */
export function describe(
  planned: Planned,
  key: ContextKey,
  view: Buffer,
  at: number,
  end: number,
  nowMs: number,
): Description {
  const last = known.get(planned);
  if (
    last !== undefined &&
    last.key === key &&
    nowMs < last.untilMs &&
    last.bytes.compare(view, at, end) === 0
  ) {
    return last;
  }
  const { policy, catalog } = key;
  const columns = parseRowDescription(view, at + HEADER_BYTES, end);
  const leak =
    policy.bundle.target.enforcement === 'Observe'
      ? undefined
      : checkProvenance(columns, planned, policy.maskSet, catalog, nowMs);
  // Not of Node's pool: what is kept for long would hold a whole slab of it.
  const bytes = Buffer.allocUnsafeSlow(end - at);
  view.copy(bytes, 0, at, end);
  const made = { columns, leak, key, bytes, untilMs: policy.maskSet.nextExpiryMs(nowMs) };
  known.set(planned, made);
  return made;
}
