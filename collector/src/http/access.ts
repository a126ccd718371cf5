import type { FastifyRequest } from 'fastify';
import type { ReadScope } from '../store/types.ts';
import { Problem } from './problem.ts';

/**
 * Who asks the record, and how much of it that role sees: an auditor everything, an owner the sessions of
 * its teams, an operator no payloads.
 */
export type Reader = { readonly name: string } & (
  | { readonly role: 'auditor' | 'operator' }
  | { readonly role: 'owner'; readonly owners: readonly string[] }
);

/** Who ships events. */
export interface IngestPrincipal {
  /** A stable name: sessions belong to the source that shipped them first. */
  readonly source: string;
}

/** Undefined: the token is not good, or not for that session. `session` is absent for recordings and snapshots. */
export type AuthorizeIngest = (
  token: string,
  session?: string,
) => Promise<IngestPrincipal | undefined> | IngestPrincipal | undefined;

/** Undefined: the token is not good. */
export type AuthorizeRead = (token: string) => Promise<Reader | undefined> | Reader | undefined;

/** The token of `Authorization: Bearer …`, at most 8 KiB. Throws a 401. */
export function bearerToken(request: FastifyRequest, code: 'CHP-6004' | 'CHP-6008'): string {
  const match = /^Bearer ([\x21-\x7e]{1,8192})$/i.exec(request.headers.authorization ?? '');
  if (match === null) throw new Problem(401, code, 'a bearer token is needed');
  return match[1]!;
}

/** What the reader's role lets it see. */
export function scopeOf(reader: Reader): ReadScope {
  if (reader.role === 'owner') return { owners: reader.owners, payloads: true };
  return { payloads: reader.role === 'auditor' };
}
