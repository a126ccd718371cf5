import type { Answer, Caller } from './caller.ts';
import type { Screen } from './screen.ts';
import type { Stage } from './stage.ts';

export interface Play {
  readonly screen: Screen;
  readonly stage: Stage;
}

/** Something did not behave as the demo tells it. */
export class NotAsTold extends Error {}

/** Throws NotAsTold unless `condition` holds. */
export function expectThat(condition: boolean, what: string): asserts condition {
  if (!condition) throw new NotAsTold(what);
}

/** Sends a statement, shows what came back, and expects a result. */
export async function showRows(
  { screen }: Play,
  caller: Caller,
  text: string,
  parameters?: readonly unknown[],
): Promise<Answer & { kind: 'Rows' }> {
  screen.statement(caller.identity, text);
  const answer = await caller.ask(text, parameters);
  show(screen, answer);
  expectThat(answer.kind === 'Rows', `a result was expected of: ${text}`);
  return answer;
}

/** Sends a statement, shows what came back, and expects a refusal with this SQLSTATE. */
export async function showRefusal(
  { screen }: Play,
  caller: Caller,
  text: string,
  code: string,
): Promise<Answer & { kind: 'Refused' }> {
  screen.statement(caller.identity, text);
  const answer = await caller.ask(text);
  show(screen, answer);
  expectThat(answer.kind === 'Refused', `a refusal was expected of: ${text}`);
  expectThat(answer.code === code, `SQLSTATE ${code} was expected, not ${answer.code}`);
  return answer;
}

/** Shows what a client got. */
export function show(screen: Screen, answer: Answer): void {
  if (answer.kind === 'Refused') screen.refusal(answer.code, answer.message, answer.hint);
  else if (answer.columns.length > 0) screen.table(answer.columns, answer.rows);
  else screen.plain([answer.command, answer.count ?? []].flat().join(' '));
}

/** Asks `question` again until it says yes; throws NotAsTold after `timeoutMs`. */
export async function until(
  what: string,
  question: () => Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await question())) {
    expectThat(performance.now() < deadline, `waited ${timeoutMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
