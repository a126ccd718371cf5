/** Who is recognised, by a real API server's review of tokens and the pods that it has. */
import { ControlRefusal } from '@chaperone/core/control/types.ts';
import { KubernetesAttestor } from '@chaperone/operator/attest/kubernetes-attestor.ts';
import { LivePods } from '@chaperone/operator/attest/live-pods.ts';
import type { CheckedPod } from '@chaperone/operator/injection/pod.ts';
import { renderPod } from '@chaperone/operator/injection/render.ts';
import { contextOf, podOf, settings } from '@chaperone/operator/injection/testing.ts';
import type { KubernetesApi } from '@chaperone/operator/kubernetes/client.ts';
import type { KubernetesObject, WrittenObject } from '@chaperone/operator/kubernetes/object.ts';
import { resourceTypes } from '@chaperone/operator/kubernetes/resource-types.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startTestApiServer, type TestApiServer } from '../support/api-server.ts';
import { apiOf, createNamespace } from '../support/kubernetes.ts';

const namespace = 'payments';
const address = '10.244.0.7';
const gateway = 'gateway-0';
let server: TestApiServer;
let api: KubernetesApi;
let attestor: KubernetesAttestor;
/** Ahead of the machine's clock. */
let aheadMs = 0;
const clock = { ...systemClock(), nowMs: () => Date.now() + aheadMs };
const reviews: string[] = [];
let count = 0;

beforeAll(async () => {
  server = await startTestApiServer();
  api = apiOf(server.kubeconfig);
  await createNamespace(api, namespace);
  for (const name of ['report', 'other', 'gateway']) {
    await api.create(resourceTypes.ServiceAccount, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name, namespace },
    });
  }
  attestor = new KubernetesAttestor({
    api,
    expected: {
      sidecarImage: settings.sidecarImage,
      policyApiUrl: settings.policyApiUrl,
      collectorUrl: settings.collectorUrl,
    },
    gatewayServiceAccounts: [`${namespace}/gateway`],
    verifySourceAddress: true,
    // Without a cache each pod is asked for.
    pods: new LivePods({
      cached: () => undefined,
      find: (podNamespace, name) => api.find(resourceTypes.Pod, podNamespace, name),
      clock,
    }),
    clock,
    onReview: (call, outcome) => reviews.push(`${call} ${outcome}`),
  });
}, 120_000);

afterAll(async () => {
  await api?.config.close();
  await server?.stop();
});

function injected(change: (spec: Record<string, unknown>) => void = () => {}): CheckedPod['spec'] {
  const rendered = renderPod(podOf(), contextOf());
  if (rendered.outcome !== 'Injected') throw new Error(rendered.message);
  const spec = structuredClone(rendered.pod.spec) as unknown as Record<string, unknown>;
  change(spec);
  return spec as unknown as CheckedPod['spec'];
}

interface PodOptions {
  readonly name?: string;
  readonly spec?: CheckedPod['spec'];
  readonly serviceAccount?: string;
  readonly podIPs?: readonly string[];
  readonly phase?: string;
}

/** A pod that runs, as its kubelet would tell. */
async function run(options: PodOptions = {}): Promise<KubernetesObject> {
  const { serviceAccount = 'report', podIPs = [address], phase = 'Running' } = options;
  count += 1;
  const name = options.name ?? `pod-${count}`;
  const pod = await api.create<KubernetesObject>(resourceTypes.Pod, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: { ...(options.spec ?? injected()), serviceAccountName: serviceAccount },
  } as WrittenObject);
  await api.mergePatch(
    resourceTypes.Pod,
    { namespace, name, subresource: 'status' },
    { status: { phase, podIP: podIPs[0], podIPs: podIPs.map((ip) => ({ ip })) } },
  );
  return pod;
}

/** As the kubelet projects one, or `create serviceaccounts/token` gives one. */
async function tokenOf(
  pod?: KubernetesObject,
  { serviceAccount = 'report', audience = 'chaperone.dev' } = {},
): Promise<string> {
  const { status } = await api.create<{ readonly status: { readonly token: string } }>(
    resourceTypes.ServiceAccount,
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: {},
      spec: {
        audiences: [audience],
        expirationSeconds: 600,
        ...(pod !== undefined && {
          boundObjectRef: {
            apiVersion: 'v1',
            kind: 'Pod',
            name: pod.metadata.name,
            uid: pod.metadata.uid,
          },
        }),
      },
    } as WrittenObject,
    { path: { namespace, name: serviceAccount, subresource: 'token' } },
  );
  return status.token;
}

/** At once, as when its node is gone. */
const end = ({ metadata: { name } }: KubernetesObject): Promise<void> =>
  api.delete(resourceTypes.Pod, namespace, name, { gracePeriodSeconds: 0 });

/** What is said of a refusal: to the program, and in the log. */
async function refusalOf(attempt: Promise<unknown>): Promise<string> {
  const error = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ControlRefusal)) throw new Error(`not refused: ${error}`);
  expect(error.code).toBe('CHP-2006');
  return `${error.message} ${error.logDetail ?? ''}`;
}

describe('a sidecar', () => {
  test('is recognised by its token and its pod', async () => {
    const pod = await run();
    expect(await attestor.attest(await tokenOf(pod), address)).toEqual({
      role: 'Pod',
      source: {
        namespace,
        serviceAccount: 'report',
        pod: { name: pod.metadata.name, uid: pod.metadata.uid },
        address,
      },
    });
  });

  test('is known to resolve names elsewhere, when its pod does', async () => {
    const spec = injected((changed) => {
      changed.dnsPolicy = 'None';
      changed.dnsConfig = { nameservers: ['10.9.8.7'] };
    });
    expect(await attestor.attest(await tokenOf(await run({ spec })), address)).toMatchObject({
      role: 'Pod',
      ownNameServers: true,
    });
  });

  test('may have several addresses', async () => {
    const pod = await run({ podIPs: [address, 'fd00::7'] });
    expect(await attestor.attest(await tokenOf(pod), 'fd00::7')).toMatchObject({ role: 'Pod' });
  });

  test('is asked to try again until its pod’s address is known', async () => {
    const pod = await run({ podIPs: [] });
    await expect(attestor.attest(await tokenOf(pod), address)).rejects.not.toBeInstanceOf(
      ControlRefusal,
    );
  });

  test('is recognised while its pod ends in its grace period, and not after', async () => {
    const pod = await run();
    const token = await tokenOf(pod);
    await api.mergePatch(
      resourceTypes.Pod,
      { namespace, name: pod.metadata.name },
      { metadata: { finalizers: ['chaperone.dev/test'] } },
    );
    await api.delete(resourceTypes.Pod, namespace, pod.metadata.name);
    // No node has it, so that the API server gives it no time: it is deleted in our future.
    aheadMs = -60_000;
    try {
      expect(await attestor.attest(token, address)).toMatchObject({ role: 'Pod' });
    } finally {
      aheadMs = 0;
    }
    expect(await refusalOf(attestor.attest(token, address))).toContain('ended');
  });
});

describe('not recognised is', () => {
  test.each<[string, () => Promise<string>, string]>([
    ['what is no token', async () => 'abc', 'not valid'],
    [
      'what looks like one',
      async () =>
        `${Buffer.from('{}').toString('base64url')}.${Buffer.from('{"iss":"x"}').toString('base64url')}.x`,
      'not valid',
    ],
    [
      'a token of another audience',
      async () => tokenOf(await run(), { audience: 'other' }),
      'not valid',
    ],
    ['a token that is bound to no pod', () => tokenOf(), 'bound to no pod'],
    [
      'the token of a pod without a sidecar',
      async () => tokenOf(await run({ spec: podOf().spec })),
      'no sidecar',
    ],
    [
      'the token of a pod that has ended',
      async () => tokenOf(await run({ phase: 'Succeeded' })),
      'ended',
    ],
    [
      'the token of a pod with an own token of our audience',
      async () =>
        tokenOf(
          await run({
            spec: injected((spec) => {
              (spec.volumes as object[]).push({
                name: 'own',
                projected: {
                  sources: [
                    {
                      serviceAccountToken: {
                        audience: 'chaperone.dev',
                        path: 't',
                        expirationSeconds: 600,
                      },
                    },
                  ],
                },
              });
            }),
          }),
        ),
      'volume own',
    ],
    [
      'the token of a pod whose sidecar has another image',
      async () =>
        tokenOf(
          await run({
            spec: injected((spec) => {
              (spec.initContainers as { image: string }[])[0]!.image = 'evil.example/sidecar';
            }),
          }),
        ),
      'image',
    ],
  ])('%s', async (_, token, reason) => {
    expect(await refusalOf(attestor.attest(await token(), address))).toContain(reason);
  });

  test('whoever calls from elsewhere', async () => {
    const pod = await run();
    const said = await refusalOf(attestor.attest(await tokenOf(pod), '10.244.0.8'));
    expect(said).toContain('own address');
  });

  test('whoever has the token of a pod that is gone, or that has been made anew under its name', async () => {
    const pod = await run();
    const token = await tokenOf(pod);
    // Reviewed once, a token stays valid for the API server's cache.
    await attestor.attest(token, address);
    await end(pod);
    expect(await refusalOf(attestor.attest(token, address))).toMatch(/not valid|not exist/);
    const again = await run({ name: pod.metadata.name });
    expect(again.metadata.uid).not.toBe(pod.metadata.uid);
    expect(await refusalOf(attestor.attest(token, address))).toMatch(/not valid|not exist/);
  });

  test('an ephemeral container that looks into the sidecar', async () => {
    const pod = await run();
    const token = await tokenOf(pod);
    await attestor.attest(token, address);
    await api.mergePatch(
      resourceTypes.Pod,
      { namespace, name: pod.metadata.name, subresource: 'ephemeralcontainers' },
      {
        spec: {
          ephemeralContainers: [
            {
              name: 'debug',
              image: 'busybox',
              targetContainerName: 'chaperone-sidecar',
              terminationMessagePolicy: 'File',
              imagePullPolicy: 'Always',
            },
          ],
        },
      },
    );
    expect(await refusalOf(attestor.attest(token, address))).toContain('looks into');
  });
});

describe('a gateway', () => {
  test('is recognised by its ServiceAccount, in a pod that runs', async () => {
    const pod = await run({ spec: podOf().spec, serviceAccount: 'gateway' });
    const token = await tokenOf(pod, { serviceAccount: 'gateway' });
    expect(await attestor.attest(token, address)).toMatchObject({ role: 'Gateway' });
    expect(await refusalOf(attestor.attest(token, '10.0.0.1'))).toContain('own address');
    await end(pod);
    expect(await refusalOf(attestor.attest(token, address))).toMatch(/not valid|not exist/);
  });

  test('is not whoever has a token without a pod', async () => {
    const token = await tokenOf(undefined, { serviceAccount: 'gateway' });
    expect(await refusalOf(attestor.attest(token, address))).toContain('bound to no pod');
  });
});

describe('a caller’s password', () => {
  test('is a ServiceAccount token of our audience, of a pod or of none', async () => {
    const issuer = 'https://kubernetes.default.svc';
    expect(await attestor.authenticate(await tokenOf(), gateway)).toEqual({
      issuer,
      namespace,
      serviceAccount: 'report',
      expiresMs: expect.any(Number),
    });
    const pod = await run({ spec: podOf().spec });
    const token = await tokenOf(pod);
    expect(await attestor.authenticate(token, gateway)).toMatchObject({
      pod: { name: pod.metadata.name, uid: pod.metadata.uid },
    });
    await end(pod);
    reviews.length = 0;
    expect(await attestor.authenticate(token, gateway)).toBeUndefined();
    expect(reviews).toEqual(['authenticate Cached']);
  });

  test.each<[string, () => Promise<string> | string]>([
    ['a ticket', () => `chpt_${'0'.repeat(16)}_${'0'.repeat(64)}`],
    ['a text with dots', () => 'a.b.c'],
    ['nothing', () => ''],
    ['a token of another audience', () => tokenOf(undefined, { audience: 'x' })],
  ])('is not %s', async (_, secret) => {
    reviews.length = 0;
    expect(await attestor.authenticate(await secret(), gateway)).toBeUndefined();
    expect(reviews).toEqual(['authenticate Unlikely']);
  });
});

test('a pod that was recognised is still there until it ends, and no other of its name is it', async () => {
  const pod = await run();
  const { uid, name } = pod.metadata;
  const reference = { namespace, name, uid };
  expect(await attestor.stillThere(reference)).toBe(true);
  expect(attestor.isGone(reference)).toBe(false);
  expect(await attestor.stillThere({ ...reference, uid: 'another' })).toBe(false);
  const other = await run();
  const gone = { namespace, name: other.metadata.name, uid: other.metadata.uid };
  await end(other);
  expect(await attestor.stillThere(gone)).toBe(false);
  expect(attestor.isGone(gone)).toBe(true);
});

test('nobody is recognised, and nobody refused, while the API server is away', async () => {
  const pod = await run();
  const token = await tokenOf(pod);
  await server.killApiServer();
  await expect(attestor.attest(token, address)).rejects.toMatchObject({ name: 'ApiError' });
  await expect(attestor.authenticate(token, gateway)).rejects.toMatchObject({ name: 'ApiError' });
});
