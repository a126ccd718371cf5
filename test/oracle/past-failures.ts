/**
 * Statements, made at random, whose operations once did not cover what they did. Those found by the statements
 * written by hand stand in kinds.ts.
 */
export const pastFailures: readonly string[] = [
  'SELECT * FROM (SELECT mark FROM parts) AS s FOR UPDATE',
  'SELECT * FROM base FOR SHARE',
  'GRANT USAGE ON TYPE text TO clerk',
  'ALTER TYPE name SET (storage = plain)',
  'ALTER FUNCTION json_build_object() RENAME TO fn_worth',
];
