import { expect, test } from '@jest/globals';
import { ownNames } from './own-names.ts';

test('the names of our Services and of the API server, as pods may say them', () => {
  const names = ownNames('chaperone-system', 'example.org');
  for (const program of ['webhook', 'policy-api', 'collector']) {
    const name = `chaperone-${program}.chaperone-system`;
    expect(names).toEqual(expect.arrayContaining([name, `${name}.svc`, `${name}.svc.example.org`]));
  }
  expect(names).toEqual(
    expect.arrayContaining(['kubernetes.default.svc', 'kubernetes.default.svc.example.org']),
  );
  expect(names.filter((name) => !/^(chaperone-|kubernetes\.)/.test(name))).toEqual([]);
});
