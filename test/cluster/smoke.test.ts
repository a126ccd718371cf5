/** What the other suites take for granted of the cluster and its images. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { waitFor } from './node/wait-for.ts';
import { clusterContext } from './support/context.ts';
import { apply, get, kubectl, list } from './support/kubectl.ts';
import { deleteNamespace, makeNamespace } from './support/namespaces.ts';
import { jobEnd, podLogs, ready, restricted } from './support/pods.ts';

const nodeProgram = (...lines: string[]) => ['node', '-e', lines.join(';')];
const server = nodeProgram(
  "require('node:http').createServer((request, answer) => answer.end(request.socket.remoteAddress)).listen(8080)",
  "process.on('SIGTERM', () => process.exit(0))",
);

let namespace: string;
beforeAll(async () => {
  namespace = await makeNamespace('smoke', { 'pod-security.kubernetes.io/enforce': 'restricted' });
});
afterAll(() => deleteNamespace(namespace));

test('its nodes are Ready', async () => {
  for (const node of await list('nodes')) {
    const conditions = expect.arrayContaining([
      expect.objectContaining({ type: 'Ready', status: 'True' }),
    ]);
    expect(node.status.conditions).toEqual(conditions);
  }
});

test('a Job with a native sidecar completes, and the sidecar is up before the app', async () => {
  await apply(
    [
      {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: { name: 'with-sidecar' },
        spec: {
          backoffLimit: 0,
          template: {
            spec: {
              restartPolicy: 'Never',
              initContainers: [
                {
                  ...restricted({ name: 'sidecar', image: 'node:24', command: server }),
                  restartPolicy: 'Always',
                  startupProbe: { httpGet: { port: 8080 }, periodSeconds: 1 },
                },
              ],
              containers: [
                restricted({
                  name: 'app',
                  image: 'node:24',
                  command: ['curl', '--silent', '--fail', 'http://127.0.0.1:8080'],
                }),
              ],
            },
          },
        },
      },
    ],
    namespace,
  );
  expect(await jobEnd('with-sidecar', namespace)).toBe('Complete');
  expect(await podLogs(namespace, 'job/with-sidecar', 'app')).toContain('127.0.0.1');
});

test('a Service has a name, and its backend sees the address of the calling pod', async () => {
  const labels = { app: 'server' };
  await apply(
    [
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'server', labels },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              ...restricted({ name: 'app', image: 'node:24', command: server }),
              readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 1 },
            },
          ],
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'server' },
        spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
      },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'client' },
        spec: {
          terminationGracePeriodSeconds: 0,
          containers: [
            restricted({ name: 'app', image: 'node:24', command: ['sleep', 'infinity'] }),
          ],
        },
      },
    ],
    namespace,
  );
  await ready('pod/server', namespace);
  await ready('pod/client', namespace);
  const { podIP } = (await get('pod', 'client', '-n', namespace)).status;
  const url = `http://server.${namespace}.svc.cluster.local`;
  const seen = await waitFor(() =>
    kubectl(['exec', '-n', namespace, 'client', '--', 'curl', '--silent', '--fail', url]),
  );
  expect(seen).toBe(`::ffff:${podIP}`);
  const unknown = ['getent', 'hosts', 'nothing.example.com'];
  await expect(kubectl(['exec', '-n', namespace, 'client', '--', ...unknown])).rejects.toThrow();
});

const programs = ['operator', 'sidecar', 'collector', 'chaperone', 'lockdown'] as const;

test.each(programs)('the image of %s takes no more than 160 MB, unpacked', async (program) => {
  const reference = clusterContext().images[program];
  const sizes = await waitFor(
    async () => {
      const images = (await list('nodes')).flatMap(({ status }) => status.images);
      const ours = images.filter(({ names }) => names.includes(reference));
      return ours.length > 0 && ours.map(({ sizeBytes }) => sizeBytes as number);
    },
    { what: `a node to list ${reference}`, timeoutMs: 90_000 },
  );
  expect(Math.max(...sizes)).toBeLessThanOrEqual(160e6);
});

test.each(programs)(
  'the image of %s runs without root and on a read-only file system',
  async (program) => {
    const image = clusterContext().images[program];
    await apply(
      [
        {
          apiVersion: 'batch/v1',
          kind: 'Job',
          metadata: { name: `help-${program}` },
          spec: {
            backoffLimit: 0,
            template: {
              spec: {
                restartPolicy: 'Never',
                containers: [restricted({ name: 'app', image, args: ['--help'] }, {})],
              },
            },
          },
        },
      ],
      namespace,
    );
    expect(await jobEnd(`help-${program}`, namespace)).toBe('Complete');
    expect(await podLogs(namespace, `job/help-${program}`, 'app')).toContain('--');
  },
);
