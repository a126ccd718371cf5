/** DNS names that no certificate of a workload is for. */
import { targetNames } from '@chaperone/core/resources/target-names.ts';

/** Of the API server. */
export const apiServerNames = (clusterDomain: string): readonly string[] => [
  'kubernetes.default.svc',
  `kubernetes.default.svc.${clusterDomain}`,
];

const programs = ['webhook', 'policy-api', 'collector'] as const;

/** Of Chaperone's own Services, as the chart names them, and of the API server; in all forms that a pod may use. */
export function ownNames(namespace: string, clusterDomain: string): readonly string[] {
  return [
    ...programs.map((program) => `chaperone-${program}.${namespace}.svc`),
    ...apiServerNames(clusterDomain),
  ].flatMap((name) => targetNames(name, [], clusterDomain, namespace));
}
