import { MicrosecondTime } from '@chaperone/core/events/time.ts';

const form = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?Z$/;

/** Microseconds since 1970 of an RFC 3339 time in UTC with at most six decimals; undefined when it is none. */
export function parseTimeUs(text: string): number | undefined {
  const match = form.exec(text);
  if (match === null) return undefined;
  const ms = Date.parse(`${match[1]}Z`);
  // Date.parse takes the 31st of June for the 1st of July; a time that does not come back is none.
  if (Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(match[1]!)) return undefined;
  return ms * 1000 + Number((match[2] ?? '').padEnd(6, '0'));
}

const time = new MicrosecondTime();

/** RFC 3339 in UTC with microseconds. */
export function formatTimeUs(timeUs: number): string {
  return time.format(timeUs);
}
