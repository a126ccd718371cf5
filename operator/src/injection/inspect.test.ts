import { describe, expect, test } from '@jest/globals';
import { imageRepository } from './image.ts';
import { inspectPod } from './inspect.ts';
import type { CheckedPod } from './pod.ts';
import { renderPod } from './render.ts';
import { contextOf, podOf, settings } from './testing.ts';

type Json = Record<string, unknown>;
type Draft = {
  spec: Json & {
    containers: Json[];
    initContainers: (Json & { env: Json[]; volumeMounts: Json[]; securityContext: Json })[];
    volumes: (Json & { name: string })[];
    ephemeralContainers?: Json[];
  };
};

const expected = {
  sidecarImage: settings.sidecarImage,
  policyApiUrl: settings.policyApiUrl,
  collectorUrl: settings.collectorUrl,
  clusterDomain: settings.clusterDomain,
};

/** An injected pod, as the API server would have it, with `change` made to it. */
function pod(change: (draft: Draft) => void = () => {}): CheckedPod {
  const rendered = renderPod(podOf(), contextOf());
  if (rendered.outcome !== 'Injected') throw new Error(rendered.message);
  const draft = structuredClone(rendered.pod) as unknown as Draft;
  change(draft);
  return draft as unknown as CheckedPod;
}

const sidecar = (draft: Draft) => draft.spec.initContainers[0]!;
const volume = (draft: Draft, name: string) => {
  const found = draft.spec.volumes.find((one) => one.name === name)!;
  return found;
};
const replaceVolume = (draft: Draft, name: string, kind: Json): void => {
  draft.spec.volumes = [
    ...draft.spec.volumes.filter((one) => one.name !== name),
    { name, ...kind },
  ];
};
const ownToken = (audience: string) => ({
  projected: { sources: [{ serviceAccountToken: { audience, path: 'token' } }] },
});

describe('a pod whose token is believed', () => {
  test.each<[string, (draft: Draft) => void]>([
    ['as it was rendered', () => {}],
    [
      "that was made before sidecars were told the cluster's domain",
      (draft) => {
        const { env } = sidecar(draft);
        sidecar(draft).env = env.filter(({ name }) => name !== 'CHAPERONE_CLUSTER_DOMAIN');
        expect(sidecar(draft).env).toHaveLength(env.length - 1);
      },
    ],
    [
      'with another tag of the image',
      (draft) => (sidecar(draft).image = 'registry.example/chaperone-sidecar:1.0.0'),
    ],
    [
      'with a digest',
      (draft) => (sidecar(draft).image = 'registry.example/chaperone-sidecar@sha256:00'),
    ],
    [
      'with more targets than now',
      (draft) => (sidecar(draft).env.find(({ name }) => name === 'CHAPERONE_LISTEN')!.value = '[]'),
    ],
    [
      "with the API server's own token",
      (draft) => {
        const mount = {
          name: 'kube-api-access-x7k2p',
          mountPath: '/var/run/secrets/kubernetes.io/serviceaccount',
          readOnly: true,
        };
        sidecar(draft).volumeMounts.push(mount);
        draft.spec.containers[0]!.volumeMounts = [mount];
        draft.spec.volumes.push({
          name: mount.name,
          ...ownToken('https://kubernetes.default.svc'),
        });
      },
    ],
    [
      'with an ephemeral container of its own',
      (draft) =>
        (draft.spec.ephemeralContainers = [
          { name: 'debug', image: 'busybox', targetContainerName: 'app' },
        ]),
    ],
    [
      'with the roots mounted into the workload',
      (draft) =>
        (draft.spec.containers[0]!.volumeMounts = [{ name: 'chaperone-ca', mountPath: '/ca' }]),
    ],
    [
      'with fields that are empty',
      (draft) => Object.assign(sidecar(draft), { command: [], args: [], tty: false, envFrom: [] }),
    ],
  ])('%s', (_, change) => {
    expect(inspectPod(pod(change), expected)).toBeUndefined();
  });
});

describe('a pod whose token is not believed', () => {
  test.each<[string, (draft: Draft) => void, string]>([
    ['no sidecar', (draft) => (draft.spec.initContainers = []), 'no sidecar'],
    [
      'a sidecar among the containers',
      (draft) => {
        draft.spec.containers.push(sidecar(draft));
        draft.spec.initContainers = [];
      },
      'no sidecar',
    ],
    [
      'another image',
      (draft) => (sidecar(draft).image = 'evil.example/chaperone-sidecar:1.2.3'),
      'image',
    ],
    [
      'an image of a longer name',
      (draft) => (sidecar(draft).image = 'registry.example/chaperone-sidecar-evil:1'),
      'image',
    ],
    [
      'a registry with a port for a tag',
      (draft) => (sidecar(draft).image = 'registry.example:5000/chaperone-sidecar'),
      'image',
    ],
    ['a command', (draft) => (sidecar(draft).command = ['sh']), 'command'],
    ['arguments', (draft) => (sidecar(draft).args = ['--require', '/x']), 'args'],
    ['a working directory', (draft) => (sidecar(draft).workingDir = '/x'), 'workingDir'],
    ['a terminal', (draft) => (sidecar(draft).tty = true), 'tty'],
    [
      'a hook',
      (draft) => (sidecar(draft).lifecycle = { postStart: { exec: { command: ['sh'] } } }),
      'lifecycle',
    ],
    [
      'a probe that executes',
      (draft) => (sidecar(draft).livenessProbe = { exec: { command: ['sh'] } }),
      'livenessProbe',
    ],
    ['no native sidecar', (draft) => delete sidecar(draft).restartPolicy, 'native'],
    [
      'an environment of its own',
      (draft) => sidecar(draft).env.push({ name: 'NODE_OPTIONS', value: '--require=/x' }),
      'NODE_OPTIONS',
    ],
    [
      'another file of authorities',
      (draft) => sidecar(draft).env.push({ name: 'CHAPERONE_CA_FILE', value: '/x' }),
      'CHAPERONE_CA_FILE',
    ],
    [
      'an environment from elsewhere',
      (draft) => (sidecar(draft).envFrom = [{ configMapRef: { name: 'x' } }]),
      'envFrom',
    ],
    [
      'a value from elsewhere',
      (draft) => {
        const entry = sidecar(draft).env.find(({ name }) => name === 'CHAPERONE_OPS_PORT')!;
        delete entry.value;
        entry.valueFrom = { configMapKeyRef: { name: 'x', key: 'y' } };
      },
      'from elsewhere',
    ],
    [
      'a second value',
      (draft) =>
        sidecar(draft).env.push({ name: 'CHAPERONE_COLLECTOR_URL', value: expected.collectorUrl }),
      'twice',
    ],
    [
      'another collector',
      (draft) =>
        (sidecar(draft).env.find(({ name }) => name === 'CHAPERONE_COLLECTOR_URL')!.value =
          'https://evil'),
      'COLLECTOR_URL',
    ],
    [
      "another domain of the cluster's",
      (draft) =>
        (sidecar(draft).env.find(({ name }) => name === 'CHAPERONE_CLUSTER_DOMAIN')!.value =
          'evil.example'),
      'CLUSTER_DOMAIN',
    ],
    [
      'another policy API',
      (draft) =>
        (sidecar(draft).env.find(({ name }) => name === 'CHAPERONE_POLICY_API_URL')!.value =
          'https://evil'),
      'POLICY_API_URL',
    ],
    ['no collector', (draft) => (sidecar(draft).env = []), 'POLICY_API_URL'],
    ['another user', (draft) => (sidecar(draft).securityContext.runAsUser = 0), 'run as'],
    ['no security context', (draft) => (sidecar(draft).securityContext = {}), 'run as'],
    [
      'more privileges',
      (draft) => (sidecar(draft).securityContext.privileged = true),
      'privileges',
    ],
    [
      'a way to more privileges',
      (draft) => delete sidecar(draft).securityContext.allowPrivilegeEscalation,
      'privileges',
    ],
    [
      'files that can be written',
      (draft) => (sidecar(draft).securityContext.readOnlyRootFilesystem = false),
      'written',
    ],
    [
      'capabilities',
      (draft) => (sidecar(draft).securityContext.capabilities = { add: ['SYS_PTRACE'] }),
      'capabilities',
    ],
    [
      'another mount',
      (draft) => sidecar(draft).volumeMounts.push({ name: 'own', mountPath: '/app' }),
      'mounts own',
    ],
    [
      'a mount elsewhere',
      (draft) => (sidecar(draft).volumeMounts[0]!.mountPath = '/x'),
      'mounts chaperone-token',
    ],
    ['a part of a volume', (draft) => (sidecar(draft).volumeMounts[1]!.subPath = 'x'), 'a part of'],
    ['a mount less', (draft) => sidecar(draft).volumeMounts.pop(), 'does not mount'],
    [
      "another volume where the API server's token would be",
      (draft) =>
        sidecar(draft).volumeMounts.push({
          name: 'kube-api-access-x',
          mountPath: '/app',
          readOnly: true,
        }),
      'mounts kube-api',
    ],
    [
      'another token',
      (draft) => replaceVolume(draft, 'chaperone-token', { secret: { secretName: 'x' } }),
      'chaperone-token',
    ],
    [
      'a token and more',
      (draft) =>
        (volume(draft, 'chaperone-token').projected = {
          sources: [...ownToken('chaperone.dev').projected.sources, { secret: { name: 'x' } }],
        }),
      'chaperone-token',
    ],
    [
      'a source and more in one',
      (draft) =>
        (volume(draft, 'chaperone-token').projected = {
          sources: [{ ...ownToken('chaperone.dev').projected.sources[0], secret: { name: 'x' } }],
        }),
      'chaperone-token',
    ],
    [
      'a token for somebody else',
      (draft) =>
        (volume(draft, 'chaperone-token').projected = {
          sources: [{ serviceAccountToken: { audience: 'other', path: 'token' } }],
        }),
      'chaperone-token',
    ],
    [
      'a token at another place',
      (draft) =>
        (volume(draft, 'chaperone-token').projected = {
          sources: [{ serviceAccountToken: { audience: 'chaperone.dev', path: 'other' } }],
        }),
      'chaperone-token',
    ],
    [
      'other authorities',
      (draft) => replaceVolume(draft, 'chaperone-ca', { configMap: { name: 'own' } }),
      'chaperone-ca',
    ],
    [
      'authorities of another kind',
      (draft) => replaceVolume(draft, 'chaperone-ca', { secret: { secretName: 'chaperone-ca' } }),
      'chaperone-ca',
    ],
    [
      'a spool that others may have',
      (draft) => replaceVolume(draft, 'chaperone-spool', { hostPath: { path: '/tmp' } }),
      'chaperone-spool',
    ],
    [
      'no token',
      (draft) =>
        (draft.spec.volumes = draft.spec.volumes.filter(({ name }) => name !== 'chaperone-token')),
      'chaperone-token',
    ],
    ["the node's network", (draft) => (draft.spec.hostNetwork = true), 'network'],
    ["the node's processes", (draft) => (draft.spec.hostPID = true), 'processes'],
    ["the node's memory", (draft) => (draft.spec.hostIPC = true), 'memory'],
    ['shared processes', (draft) => (draft.spec.shareProcessNamespace = true), 'processes'],
    [
      'a workload that mounts the token',
      (draft) =>
        (draft.spec.containers[0]!.volumeMounts = [{ name: 'chaperone-token', mountPath: '/t' }]),
      'chaperone-token',
    ],
    [
      'an init container that mounts the spool',
      (draft) =>
        draft.spec.initContainers.push({
          name: 'i',
          volumeMounts: [{ name: 'chaperone-spool', mountPath: '/s' }],
        } as never),
      'chaperone-spool',
    ],
    [
      'an ephemeral container that mounts the token',
      (draft) =>
        (draft.spec.ephemeralContainers = [
          { name: 'e', volumeMounts: [{ name: 'chaperone-token', mountPath: '/t' }] },
        ]),
      'chaperone-token',
    ],
    [
      'an ephemeral container that looks into the sidecar',
      (draft) =>
        (draft.spec.ephemeralContainers = [
          { name: 'e', targetContainerName: 'chaperone-sidecar' },
        ]),
      'looks into',
    ],
    [
      'an ephemeral container of our name',
      (draft) => (draft.spec.ephemeralContainers = [{ name: 'chaperone-debug' }]),
      'reserved',
    ],
    [
      "an ephemeral container with the sidecar's user",
      (draft) =>
        (draft.spec.ephemeralContainers = [{ name: 'e', securityContext: { runAsUser: 64821 } }]),
      '64821',
    ],
    [
      "a workload with the sidecar's user",
      (draft) => (draft.spec.containers[0]!.securityContext = { runAsUser: 64821 }),
      '64821',
    ],
    [
      "a pod with the sidecar's user",
      (draft) => (draft.spec.securityContext = { runAsUser: 64821 }),
      '64821',
    ],
    [
      'a token of our audience of its own',
      (draft) => draft.spec.volumes.push({ name: 'own', ...ownToken('chaperone.dev') }),
      'own',
    ],
    [
      'a lockdown container that has the token',
      (draft) =>
        draft.spec.initContainers.push({
          name: 'chaperone-lockdown',
          volumeMounts: [{ name: 'chaperone-token', mountPath: '/t' }],
        } as never),
      'chaperone-token',
    ],
    ['two sidecars', (draft) => draft.spec.initContainers.push(sidecar(draft)), 'two containers'],
  ])('%s', (_, change, message) => {
    expect(inspectPod(pod(change), expected)?.message).toContain(message);
  });
});

test.each([
  ['a', 'a'],
  ['a:1', 'a'],
  ['a/b@sha256:00', 'a/b'],
  ['r:5000/a/b:1@sha256:00', 'r:5000/a/b'],
  ['r:5000/a', 'r:5000/a'],
])('the repository of %s is %s', (reference, repository) => {
  expect(imageRepository(reference)).toBe(repository);
});
