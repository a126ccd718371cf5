/** Looks for secrets in all that a container can read: its environment, every file, what /proc tells of processes. */
import { exec } from './pods.ts';

/** What is looked for comes by standard input: on a command line it would find itself. */
const script = `
patterns=$(cat)
search() { grep "$@" 2>/dev/null; }
for top in /*; do
  case "$top" in /proc|/sys) continue ;; esac
  search -rlaF -f <(printf '%s\\n' "$patterns") "$top"
  search -rhoaE 'eyJ[A-Za-z0-9_-]{10,}\\.eyJ[A-Za-z0-9_-]{10,}\\.' "$top" | sed 's/^/token /'
done
for process in /proc/[0-9]*; do
  for file in environ cmdline; do
    search -laF -f <(printf '%s\\n' "$patterns") "$process/$file"
  done
  search -hoaE 'eyJ[A-Za-z0-9_-]{10,}\\.eyJ[A-Za-z0-9_-]{10,}\\.' "$process/environ" | sed 's/^/token /'
done
true
`;

export interface SecretSearch {
  /** Files with any of what was looked for; of processes as `/proc/PID/environ`. */
  readonly files: readonly string[];
  /** Audiences of the tokens in any file. */
  readonly audiences: readonly string[];
}

/** Searches container `app` of a workload for texts. */
export async function searchSecrets(
  namespace: string,
  what: string,
  texts: readonly string[],
): Promise<SecretSearch> {
  const { code, stdout, stderr } = await exec(namespace, what, ['bash', '-c', script], {
    container: 'app',
    input: texts.join('\n'),
  });
  if (code !== 0) throw new Error(stderr);
  const lines = stdout.split('\n').filter((line) => line !== '');
  const [tokens, files] = [true, false].map((wanted) =>
    lines.filter((line) => line.startsWith('token ') === wanted),
  ) as [string[], string[]];
  return { files, audiences: [...new Set(tokens.flatMap(audiencesOf))] };
}

/** Of `token HEADER.CLAIMS.`; what only looks like a token has none. */
function audiencesOf(line: string): string[] {
  const [, claims = ''] = line.split('.');
  try {
    const { aud } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { aud?: string[] };
    return aud ?? [];
  } catch {
    return [];
  }
}
