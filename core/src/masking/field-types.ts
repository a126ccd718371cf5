/**
 * PostgreSQL's built-in types (pg_type.dat: their OIDs never change), grouped by how a value of theirs is
 * masked. What is not listed (domains over it come with their base type; enums, composites, extensions)
 * has no transform but Null.
 */
export type Family =
  | 'text'
  | 'varchar'
  | 'bpchar'
  | 'char'
  | 'xml'
  | 'json'
  | 'jsonb'
  | 'int2'
  | 'int4'
  | 'int8'
  | 'oid'
  | 'float4'
  | 'float8'
  | 'numeric'
  | 'money'
  | 'bool'
  | 'date'
  | 'time'
  | 'timetz'
  | 'timestamp'
  | 'timestamptz'
  | 'interval'
  | 'uuid'
  | 'bytea'
  | 'inet'
  | 'cidr'
  | 'macaddr'
  | 'array';

export interface FieldType {
  readonly family: Family;
  /** Detectors look into values of it: anything that may hold free text. */
  readonly scanned: boolean;
  /** The element's OID, for arrays. */
  readonly elementOid?: number;
}

const scannedFamilies: ReadonlySet<Family> = new Set<Family>([
  'text',
  'varchar',
  'bpchar',
  'char',
  'xml',
  'json',
  'jsonb',
]);

/** Family, OID of the type, OID of its array. */
const table: readonly (readonly [Family, number, number | undefined])[] = [
  ['text', 25, 1009],
  ['text', 19, 1003], // name
  ['text', 705, undefined], // unknown
  ['text', 2275, undefined], // cstring
  ['varchar', 1043, 1015],
  ['bpchar', 1042, 1014],
  ['char', 18, 1002],
  ['xml', 142, 143],
  ['json', 114, 199],
  ['jsonb', 3802, 3807],
  ['int2', 21, 1005],
  ['int4', 23, 1007],
  ['int8', 20, 1016],
  ['oid', 26, 1028],
  ['float4', 700, 1021],
  ['float8', 701, 1022],
  ['numeric', 1700, 1231],
  ['money', 790, 791],
  ['bool', 16, 1000],
  ['date', 1082, 1182],
  ['time', 1083, 1183],
  ['timetz', 1266, 1270],
  ['timestamp', 1114, 1115],
  ['timestamptz', 1184, 1185],
  ['interval', 1186, 1187],
  ['uuid', 2950, 2951],
  ['bytea', 17, 1001],
  ['inet', 869, 1041],
  ['cidr', 650, 651],
  ['macaddr', 829, 1040],
];

const types = new Map<number, FieldType>();
for (const [family, oid, arrayOid] of table) {
  const scanned = scannedFamilies.has(family);
  types.set(oid, { family, scanned });
  if (arrayOid !== undefined) types.set(arrayOid, { family: 'array', scanned, elementOid: oid });
}

/** What is known of a type; undefined for one that is not built in. */
export function familyOf(typeOid: number): FieldType | undefined {
  return types.get(typeOid);
}
