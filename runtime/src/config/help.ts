import { environmentName, flagName } from './names.ts';
import type { ConfigOption, ConfigSchema } from './schema.ts';

const placeholders = {
  string: 'TEXT',
  integer: 'NUMBER',
  boolean: '',
  duration: 'DURATION',
  bytes: 'SIZE',
  choice: '',
  list: 'A,B,…',
} as const;

function placeholder(option: ConfigOption): string {
  if (option.placeholder !== undefined) return option.placeholder;
  return option.type === 'choice' ? option.choices.join('|') : placeholders[option.type];
}

function facts(key: string, option: ConfigOption): string {
  const list: string[] = [];
  if (option.required) list.push('required');
  if (option.default !== undefined) list.push(`default: ${String(option.default)}`);
  if (option.secret) list.push('secret: not as a flag');
  list.push(environmentName(key));
  return `[${list.join('; ')}]`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** `--help`: what the program is, and every option with its forms, default and environment variable. */
export function helpText(program: string, summary: string, schema: ConfigSchema): string {
  const indent = ' '.repeat(8);
  const options = Object.entries(schema).map(([key, option]) => {
    const value = placeholder(option);
    const flag = option.secret ? `${key} (file or environment)` : flagName(key);
    const head = `  ${flag}${value === '' || option.secret ? '' : ` ${value}`}`;
    const body = wrap(`${option.help} ${facts(key, option)}`, 88).map((line) => indent + line);
    return [head, ...body].join('\n');
  });
  const sources =
    'Each option is taken from its flag, else from its environment variable, else from the file (under its name in camelCase), else from its default.';
  return [
    `${program}: ${summary}`,
    '',
    ...wrap(sources, 96),
    '',
    ...options,
    '  --help',
    `${indent}Show this and exit.`,
    '',
  ].join('\n');
}
