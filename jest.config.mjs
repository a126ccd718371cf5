const transform = {
  '^.+\\.ts$': [
    '@swc/jest',
    {
      jsc: {
        parser: { syntax: 'typescript' },
        target: 'es2024',
        experimental: { keepImportAttributes: true }, // Node asks for them on JSON
      },
      module: { type: 'es6' },
    },
  ],
};
const common = { transform, extensionsToTreatAsEsm: ['.ts'], testEnvironment: 'node' };
const workspaces = ['core', 'runtime', 'control', 'sidecar', 'collector', 'operator', 'cli'];

/** Unit tests stand beside their source; what needs a process or a network stands in test/. */
export default {
  maxWorkers: 2,
  // A bound on hanging, not a measure: starting programs takes seconds on a loaded machine.
  testTimeout: 60_000,
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: workspaces.map((name) => `<rootDir>/${name}/src/**/*.test.ts`),
    },
    {
      ...common,
      displayName: 'integration',
      testMatch: ['<rootDir>/test/{integration,attacks,oracle,fuzz,faults}/**/*.test.ts'],
    },
    {
      ...common,
      displayName: 'cluster',
      testMatch: ['<rootDir>/test/cluster/**/*.test.ts'],
      // Keeps logs, events and descriptions of the moment a test fails.
      testEnvironment: '<rootDir>/test/cluster/support/environment.ts',
      setupFilesAfterEnv: ['<rootDir>/test/cluster/support/setup.ts'],
    },
  ],
};
