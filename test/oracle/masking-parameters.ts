/** Literals of a query made parameters: what a Bind message and EXECUTE may give them, in either format. */
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import type { Choices } from './masking-random.ts';
import { guess } from './masking-worlds.ts';

type Type = 'text' | 'int';

interface Parameterized {
  readonly sql: string;
  readonly parameters: readonly { readonly type: Type; readonly value: string }[];
}

const oids: Readonly<Record<Type, number>> = { text: 25, int: 23 };

/** Texts and whole numbers; also what is left as it is, so that nothing within is taken for one. */
const pieces =
  /\b(?:varchar|char|numeric)\([\d,]+\)|\$\$.*?\$\$|\b(?:date|timestamptz) '[^']*'|\d+\.\d+|'(?:[^']|'')*'|\b\d+\b/gs;

/** The query with some of its literals as parameters; undefined when it has none. */
export function parameterized(sql: string, choices: Choices): Parameterized | undefined {
  const parameters: { type: Type; value: string }[] = [];
  const made = sql.replace(pieces, (piece) => {
    const type = piece.startsWith("'") ? 'text' : /^\d+$/.test(piece) ? 'int' : undefined;
    if (type === undefined || !choices.chance(type === 'text' ? 0.8 : 0.4)) return piece;
    parameters.push({ type, value: type === 'text' ? unquoted(piece) : piece });
    // A number alone would be taken for a text in places.
    return `$${parameters.length}${type === 'int' ? '::int' : choices.pick(['', '', '::text'])}`;
  });
  return parameters.length === 0 ? undefined : { sql: made, parameters };
}

const unquoted = (literal: string): string => literal.slice(1, -1).replaceAll("''", "'");

type Value = string | null;

/** Values for one execution: mostly as they were, else what somebody would try. */
function values({ parameters }: Parameterized, choices: Choices): Value[] {
  return parameters.map(({ type, value }) =>
    choices.chance(0.5)
      ? value
      : choices.pick<Value>(
          type === 'text'
            ? [guess, 'nobody', 'M', '%B%', '', 'k', '1', "'; SELECT t FROM vault --", null]
            : ['0', '1', '3', '6', '-1', '2147483647', null],
        ),
  );
}

function encoded(value: Value, type: Type, format: 0 | 1): Buffer | null {
  if (value === null) return null;
  if (format === 0 || type === 'text') return Buffer.from(value);
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(Number(value));
  return bytes;
}

interface Bound {
  readonly label: string;
  readonly bind: Buffer;
}

function bound(made: Parameterized, choices: Choices): Bound {
  const given = values(made, choices);
  const formats = made.parameters.map(() => choices.pick<0 | 1>([0, 1]));
  const parameters = made.parameters.map(({ type }, at) =>
    encoded(given[at] ?? null, type, formats[at] ?? 0),
  );
  const bind = write.bind({
    portal: '',
    statement: 'pp',
    parameterFormats: formats,
    parameters,
    resultFormats: [choices.pick<0 | 1>([0, 1])],
  });
  return { label: `${made.sql} with ${JSON.stringify(given)} as ${formats.join('')}`, bind };
}

/** Messages in one write, up to a Sync each. */
export interface Exchange {
  readonly label: string;
  readonly messages: readonly Buffer[];
}

/** Prepared once, with its types or without, and bound several times: each Bind by itself, or all together. */
export function boundExchanges(made: Parameterized, choices: Choices): Exchange[] {
  const types = made.parameters.map(({ type }) => oids[type]);
  const prepare = [
    write.parse('pp', made.sql, choices.chance(0.7) ? types : []),
    ...(choices.chance(0.5) ? [write.describe('Statement', 'pp')] : []),
  ];
  const carriedOut = Array.from({ length: 1 + choices.below(3) }, () => {
    const { label, bind } = bound(made, choices);
    const describe = choices.chance(0.7) ? [write.describe('Portal', '')] : [];
    return { label, messages: [bind, ...describe, write.execute('', 0)] };
  });
  if (choices.chance(0.5)) {
    const label = carriedOut.map((one) => one.label).join('; ');
    return [{ label, messages: [...prepare, ...carriedOut.flatMap(({ messages }) => messages)] }];
  }
  return [{ label: `parse ${made.sql}`, messages: prepare }, ...carriedOut];
}

/** The same by SQL's own PREPARE and EXECUTE. */
export function executedTexts(made: Parameterized, choices: Choices): string[] {
  const types = made.parameters.map(({ type }) => type).join(', ');
  const call = () =>
    values(made, choices)
      .map((value) => (value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`))
      .join(', ');
  return [
    `PREPARE pp (${types}) AS ${made.sql}`,
    ...Array.from({ length: 1 + choices.below(3) }, () => `EXECUTE pp (${call()})`),
  ];
}
