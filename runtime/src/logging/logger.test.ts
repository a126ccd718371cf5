import { expect, test } from '@jest/globals';
import { manualClock } from '../clock.ts';
import { ChaperoneError } from '../errors/chaperone-error.ts';
import { createLogger, type LogLevel, sessionLogger } from './logger.ts';

function logged(level: LogLevel = 'info') {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({ program: 'sidecar', level, clock: manualClock(0), destination });
  return { logger, lines };
}

test('one JSON line an event, with time, program and session', () => {
  const { logger, lines } = logged();
  sessionLogger(logger, '0190-x').info({ rows: 3 }, 'line one\nline \u001b[31mtwo');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^[^\n\u001b]*\n$/);
  expect(JSON.parse(lines[0]!)).toEqual({
    level: 'info',
    time: '1970-01-01T00:00:00.000Z',
    program: 'sidecar',
    session: '0190-x',
    rows: 3,
    msg: 'line one\nline \u001b[31mtwo',
  });
});

test.each([
  [{ password: 'S3cret' }],
  [{ credential: { password: 'S3cret', username: 'u' } }],
  [{ request: { headers: { authorization: 'Bearer S3cret' } } }],
  [{ ticket: 'S3cret' }],
])('%j is logged without its secret', (fields) => {
  const { logger, lines } = logged();
  logger.info(fields, 'x');
  expect(lines[0]).not.toContain('S3cret');
  expect(lines[0]).toContain('[redacted]');
});

test('an error is logged with code, hint and causes, and its stack at debug only', () => {
  const error = new ChaperoneError('CHP-4001', 'no', { cause: new Error('ENOSPC') });
  const at = (level: LogLevel) => {
    const { logger, lines } = logged(level);
    logger.error({ err: error }, 'x');
    return JSON.parse(lines[0]!).err;
  };
  expect(at('info')).toEqual({
    type: 'ChaperoneError',
    message: 'no',
    code: 'CHP-4001',
    hint: error.hint,
    causes: ['ENOSPC'],
  });
  expect(at('debug').stack).toContain('logger.test.ts');
});
