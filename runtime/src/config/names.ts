const prefix = 'CHAPERONE_';

function words(key: string): string[] {
  return key.split(/(?=[A-Z])/).map((word) => word.toLowerCase());
}

/** `spoolMaxBytes` → `--spool-max-bytes`. */
export function flagName(key: string): string {
  return `--${words(key).join('-')}`;
}

/** `spoolMaxBytes` → `CHAPERONE_SPOOL_MAX_BYTES`. */
export function environmentName(key: string): string {
  return `${prefix}${words(key).join('_').toUpperCase()}`;
}

/** What Kubernetes puts into every container for Services whose name begins with `chaperone-`. */
const serviceLink =
  /_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$/;

/** Whether a variable is meant for us: then it must be a key that we know. */
export function isOurVariable(name: string): boolean {
  return name.startsWith(prefix) && !serviceLink.test(name);
}

/** Edit distance with transpositions of neighbours. */
function distance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, beforePrevious[j - 2]! + 1);
      }
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length]!;
}

/** The known name that `given` most likely meant, if one is near. */
export function nearestName(given: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(given.length / 3)) + 1;
  for (const name of known) {
    const d = distance(given.slice(0, 100).toLowerCase(), name.toLowerCase());
    if (d < bestDistance) [best, bestDistance] = [name, d];
  }
  return best;
}
