// Generated from api/events.schema.json by scripts/generate-event-types.ts. Do not edit.

import type { RuleRef } from '../policy/types.ts';
import type { Operation } from '../sql/operation.ts';

type Same<A, B> = [A, B] extends [B, A] ? true : false;
type Assert<Holds extends true> = Holds;

// These do not compile when a type written by hand and the schema differ.
export type RuleRefAgrees = Assert<
  Same<
    RuleRef,
    {
      /** Kind of the object; `Builtin` for what holds everywhere. */
      readonly kind: 'AccessPolicy' | 'MaskingRule' | 'Builtin';
      /** The object's namespace. */
      readonly namespace: string;
      /** The object's name. */
      readonly object: string;
      /** The rule's name within an AccessPolicy; empty for a MaskingRule. */
      readonly rule: string;
      /** The object's generation when it was compiled. */
      readonly generation: number;
    }
  >
>;
export type OperationAgrees = Assert<
  Same<
    Operation,
    {
      /** What it does. */
      readonly verb:
        | 'Select'
        | 'Insert'
        | 'Update'
        | 'Delete'
        | 'Merge'
        | 'CopyIn'
        | 'Truncate'
        | 'CopyOut'
        | 'Create'
        | 'Alter'
        | 'Drop'
        | 'Comment'
        | 'Refresh'
        | 'Grant'
        | 'Revoke'
        | 'SetRole'
        | 'Set'
        | 'Show'
        | 'Lock'
        | 'Listen'
        | 'Notify'
        | 'Call'
        | 'Do'
        | 'FunctionCall'
        | 'ServerFile'
        | 'ServerProgram'
        | 'Maintain'
        | 'System'
        | 'Replication'
        | 'Unknown';
      /** The class of the verb; `Catalog` for Select on a reviewed system catalog. */
      readonly class:
        | 'Read'
        | 'Write'
        | 'Schema'
        | 'Privilege'
        | 'Session'
        | 'Procedure'
        | 'Export'
        | 'Admin'
        | 'Catalog'
        | 'Unknown';
      /** The parts of the resource's name, outermost first; exact names, never patterns. */
      readonly resource: readonly string[];
      /** Names of the columns read or written, each once; absent where the operation is not about columns. */
      readonly columns?: readonly string[];
      /** `Named` when the statement names the resource, `Beneath` for what stands below it. */
      readonly reach: 'Named' | 'Beneath';
      /** Triggers, row security, defaults or constraint functions of the target's owner may run with it. */
      readonly sideEffects?: boolean;
      /** For verbs that only a rule naming them matches: what was not understood. */
      readonly reason?: string;
    }
  >
>;
