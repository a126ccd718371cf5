import type { RuleRef } from '../../policy/types.ts';
import { type FieldMask, NULL_FIELD } from '../types.ts';

/** NULL in place of the value, whatever its type. */
export class NullMask implements FieldMask {
  readonly rule: RuleRef;
  readonly lastHit = true;
  constructor(rule: RuleRef) {
    this.rule = rule;
  }
  maxLength(): number {
    return 0;
  }
  write(): number {
    return NULL_FIELD;
  }
}
