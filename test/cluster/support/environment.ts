import type { Circus } from '@jest/types';
import { TestEnvironment } from 'jest-environment-node';
import { collectDiagnostics } from './diagnostics.ts';

/** Jest's environment, which keeps diagnostics at the moment of a failure: before the suite's clean-up. */
export default class ClusterEnvironment extends TestEnvironment {
  async handleTestEvent(event: Circus.Event): Promise<void> {
    if (event.name === 'test_fn_failure') await collectDiagnostics(event.test.name);
    if (event.name === 'hook_failure') await collectDiagnostics(event.hook.parent.name);
  }
}
