import { existsSync, globSync, readFileSync } from 'node:fs';
import { errorCatalogue } from '@chaperone/runtime/errors/catalogue.ts';
import { expect, test } from '@jest/globals';
import { generateEventTypes } from '../../scripts/generate-event-types.ts';
import { generateReference } from '../../scripts/generate-reference.ts';

const generated = { ...generateEventTypes(), ...generateReference() };

test.each(Object.entries(generated))('%s is what its source gives', (path, text) => {
  expect(existsSync(path) ? readFileSync(path, 'utf8') : '').toBe(text);
});

test('every error code that a source names is in the catalogue', () => {
  const sources = globSync('{core,runtime,sidecar,collector,control,cli}/src/**/*.ts');
  const unknown = sources.flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(/'(CHP-\d{4})'/g)]
      .filter(([, code]) => !Object.hasOwn(errorCatalogue, code!))
      .map(([, code]) => `${path}: ${code}`),
  );
  expect(sources.length).toBeGreaterThan(100);
  expect(unknown).toEqual([]);
});
