import { kubectl } from './kubectl.ts';

/** Kinds whose objects come and go by themselves. */
const fleeting = ['events', 'events.events.k8s.io', 'componentstatuses', 'pods.metrics.k8s.io'];

/** Every object of the cluster as `namespace kind/name`, but for those that come and go by themselves. */
export async function inventory(): Promise<ReadonlySet<string>> {
  const kinds = (await kubectl(['api-resources', '--verbs=list', '-o', 'name']))
    .split('\n')
    .filter((kind) => kind !== '' && !fleeting.includes(kind));
  const format =
    'go-template={{range .items}}{{with .metadata.namespace}}{{.}}{{end}} {{.apiVersion}} {{.kind}}/{{.metadata.name}}{{"\\n"}}{{end}}';
  const text = await kubectl(['get', kinds.join(','), '-A', '-o', format]);
  return new Set(text.split('\n').filter((line) => line !== ''));
}
