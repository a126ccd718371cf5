import { Refused } from './accept.ts';

/**
 * The settings in the startup parameter `options`, as PostgreSQL splits it: words at spaces, a backslash
 * keeps the next character (utils/init/postinit.c, pg_split_opts), then `-c name=value`, `-cname=value` and
 * `--name=value` (tcop/postgres.c, process_postgres_switches; `-` within a long name stands for `_`).
 *
 * @throws Refused for any other switch: what is not understood is not forwarded
 */
export function parseOptions(options: string): (readonly [string, string])[] {
  const words = splitWords(options);
  const settings: (readonly [string, string])[] = [];
  for (let index = 0; index < words.length; index += 1) {
    let word = words[index]!;
    if (word === '-c') word = `-c${words[((index += 1))] ?? ''}`;
    const assignment = word.startsWith('-c')
      ? word.slice(2)
      : word.startsWith('--')
        ? word.slice(2)
        : '';
    const equals = assignment.indexOf('=');
    if (equals <= 0) {
      throw new Refused(
        '42501',
        'a switch in the startup parameter options is not understood, so it was not forwarded',
        'Use -c name=value.',
      );
    }
    settings.push([assignment.slice(0, equals).replaceAll('-', '_'), assignment.slice(equals + 1)]);
  }
  return settings;
}

function splitWords(options: string): string[] {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (at < options.length && isSpace(options[at]!)) at += 1;
    if (at === options.length) return words;
    let word = '';
    while (at < options.length && !isSpace(options[at]!)) {
      if (options[at] === '\\' && at + 1 < options.length) at += 1;
      word += options[at]!;
      at += 1;
    }
    words.push(word);
  }
}

const isSpace = (character: string): boolean => /[ \t\n\r\v\f]/.test(character);
