/**
 * What is to be done about certificates now: a pure function of what there is and what time it is. A root is
 * published before it signs, and stays published until nothing that it signed is left: whoever reads the
 * bundle late by less than `publishMs` can verify every leaf at every step.
 */
import { type CertificateFacts, isSignedBy, keyFits } from './issue.ts';

const hourMs = 60 * 60 * 1000;
const dayMs = 24 * hourMs;

export const rootLifetimeMs = 365 * dayMs;
export const leafLifetimeMs = 7 * dayMs;
/** How long a new root is in the bundle before it signs. */
export const publishMs = dayMs;
/** The longest that anything signed by a root that signs no more may live: leaves, and the intermediate's. */
export const drainMs = leafLifetimeMs + dayMs;
/** The part of a lifetime after which the successor is made. */
const renewAfter = 2 / 3;

export interface Root {
  readonly facts: CertificateFacts;
  readonly key: string;
}

/** What a Secret with a leaf or the intermediate holds; absent fields are missing or unreadable. */
export interface Issued {
  readonly facts?: CertificateFacts;
  readonly key?: string;
  /** Its copy of the bundle. */
  readonly ca?: string;
}

export interface Existing {
  readonly root?: {
    /** Absent: there is none, or it is unreadable. */
    readonly current?: Root;
    readonly next?: Root;
    readonly previous?: CertificateFacts;
    /** When `current` began to sign. */
    readonly promotedMs?: number;
    /** Since when everybody who is given the bundle has `next` in it; absent while somebody is known to lack it. */
    readonly nextPublishedMs?: number;
  };
  /** Whether everybody who is given the bundle has been given the one that these roots make. */
  readonly bundlePublished: boolean;
  /** By name of the Secret: the names that its certificate has to have, sorted, and what is there. */
  readonly issued: ReadonlyMap<string, { readonly names: readonly string[]; readonly has: Issued }>;
}

export type CertificateAction =
  | { readonly type: 'CreateRoot' }
  | { readonly type: 'AddNextRoot' }
  | { readonly type: 'MarkNextPublished' }
  | { readonly type: 'PromoteRoot' }
  | { readonly type: 'DropPreviousRoot' }
  | { readonly type: 'Issue'; readonly secret: string; readonly why: IssueReason }
  | { readonly type: 'UpdateBundle'; readonly secret: string };

export type IssueReason =
  | 'Missing'
  | 'KeyMismatch'
  | 'OtherNames'
  | 'OtherIssuer'
  | 'Expired'
  | 'Renewal';

/**
 * The actions that bring everything in order. One that changes the roots comes alone: the rest depends on what
 * it makes, so plan again after it.
 */
export function plan(existing: Existing, nowMs: number): readonly CertificateAction[] {
  const rootAction = planRoot(existing, nowMs);
  if (rootAction !== undefined) return [rootAction];
  const current = existing.root!.current!;
  const bundle = bundleOf(existing.root);
  return [...existing.issued].flatMap(([secret, { names, has }]): CertificateAction[] => {
    const why = reasonToIssue(has, names, current, nowMs);
    if (why !== undefined) return [{ type: 'Issue', secret, why }];
    return has.ca === bundle ? [] : [{ type: 'UpdateBundle', secret }];
  });
}

function planRoot(
  { root, bundlePublished }: Existing,
  nowMs: number,
): CertificateAction | undefined {
  const current = root?.current;
  if (current === undefined || !signs(current, nowMs)) {
    // A root that was lost or has expired leaves nothing to overlap with.
    const successor = root?.next !== undefined && signs(root.next, nowMs);
    return { type: successor ? 'PromoteRoot' : 'CreateRoot' };
  }
  const { next, previous, promotedMs, nextPublishedMs } = root!;
  if (next !== undefined && signs(next, nowMs)) {
    if (nextPublishedMs === undefined && bundlePublished) return { type: 'MarkNextPublished' };
    const published = nextPublishedMs !== undefined && nowMs - nextPublishedMs >= publishMs;
    // Without its bundle everywhere it still has to sign before the current one's leaves cannot be made.
    const urgent = current.facts.notAfterMs - nowMs < drainMs;
    if (published || urgent) return { type: 'PromoteRoot' };
  } else if (nowMs >= renewalMs(current.facts)) {
    return { type: 'AddNextRoot' };
  }
  const drained = promotedMs === undefined || nowMs - promotedMs >= drainMs;
  if (previous !== undefined && (drained || previous.notAfterMs <= nowMs)) {
    return { type: 'DropPreviousRoot' };
  }
  return undefined;
}

function signs({ facts, key }: Root, nowMs: number): boolean {
  return nowMs < facts.notAfterMs && keyFits({ cert: facts.pem, key });
}

/** When the successor of a certificate is due. */
function renewalMs({ notBeforeMs, notAfterMs }: CertificateFacts): number {
  return notBeforeMs + (notAfterMs - notBeforeMs) * renewAfter;
}

function reasonToIssue(
  { facts, key }: Issued,
  names: readonly string[],
  root: Root,
  nowMs: number,
): IssueReason | undefined {
  if (facts === undefined || key === undefined) return 'Missing';
  if (!keyFits({ cert: facts.pem, key })) return 'KeyMismatch';
  if (names.join() !== facts.names.join()) return 'OtherNames';
  if (!isSignedBy(facts.pem, root.facts.pem)) return 'OtherIssuer';
  if (nowMs >= facts.notAfterMs) return 'Expired';
  return nowMs >= renewalMs(facts) ? 'Renewal' : undefined;
}

/** What everybody trusts: the root that signs first, then the one to come, then the one before. */
export function bundleOf(root: Existing['root']): string {
  const certificates = [root?.current?.facts, root?.next?.facts, root?.previous];
  return certificates.map((facts) => facts?.pem ?? '').join('');
}
