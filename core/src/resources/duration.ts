const shape = /^(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?$/;

/** Milliseconds of a duration such as `8h`, `1h30m` or `90s`; undefined if it is none. */
export function parseDurationMs(text: string): number | undefined {
  const parts = shape.exec(text);
  if (parts === null || text === '') return undefined;
  const [hours = 0, minutes = 0, seconds = 0] = parts.slice(1).map((part) => Number(part ?? 0));
  return ((hours * 60 + minutes) * 60 + seconds) * 1000;
}
