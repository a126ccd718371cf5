import { jest } from '@jest/globals';

// A bound on hanging: pods are scheduled, started and ended. (`testTimeout` of one project has no effect beside the
// common one.)
jest.setTimeout(300_000);
