/**
 * Statements, made at random, whose operations once did not cover what they did. Those found by the statements
 * written by hand stand in kinds.ts.
 */
export const pastFailures: readonly string[] = [];
