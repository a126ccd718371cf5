import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { keepCertificates } from './authority.ts';
import { issueIntermediate, issueLeaf, issueRoot, readCertificate } from './issue.ts';
import { type CertificateAction, drainMs, leafLifetimeMs, rootLifetimeMs } from './plan.ts';
import { rootSecret, type SecretTexts, workloadIssuerSecret } from './secrets.ts';

const dayMs = 24 * 60 * 60 * 1000;
const startMs = Date.now();
const webhookName = 'chaperone-webhook.chaperone-system.svc';
const leafSecret = 'chaperone-webhook-tls';
const leaves = new Map([[leafSecret, [webhookName]]]);

/** What a client that trusts `ca` says of a server that shows `cert` for `name`, at the machine's own time. */
async function verify(
  pair: { cert: string; key: string },
  ca: string,
  name: string,
): Promise<string> {
  const server = createServer({ cert: pair.cert, key: pair.key }, (socket) => socket.end());
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket: TLSSocket = tlsConnect({ host: '127.0.0.1', port, ca, servername: name });
  try {
    await once(socket, 'secureConnect');
    return 'verified';
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === undefined || code === 'UNSPECIFIED' ? message : code;
  } finally {
    socket.destroy();
    server.close();
  }
}

interface World {
  readonly secrets: Map<string, SecretTexts>;
  readonly actions: string[];
  published: boolean;
  nowMs: number;
  keep(): Promise<string>;
}

function world(): World {
  const secrets = new Map<string, SecretTexts>();
  const actions: string[] = [];
  const told = (action: CertificateAction): void => {
    actions.push('secret' in action ? `${action.type} ${action.secret}` : action.type);
  };
  const made: World = {
    secrets,
    actions,
    published: true,
    nowMs: startMs,
    keep: () =>
      keepCertificates({
        secrets: {
          read: async (name) => secrets.get(name),
          write: async (name, texts) => void secrets.set(name, texts),
        },
        leaves,
        excluded: ['chaperone-system.svc'],
        isPublished: () => made.published,
        nowMs: () => made.nowMs,
        onAction: told,
      }),
  };
  return made;
}

const pairOf = (texts: SecretTexts | undefined) => ({
  cert: texts!['tls.crt']!,
  key: texts!['tls.key']!,
});

describe('keepCertificates', () => {
  test('from nothing: a root, and everything that it signs; then rest', async () => {
    const { keep, actions, secrets } = world();
    const bundle = await keep();
    expect(actions).toEqual(['CreateRoot', `Issue ${leafSecret}`, `Issue ${workloadIssuerSecret}`]);
    expect(await verify(pairOf(secrets.get(leafSecret)), bundle, webhookName)).toBe('verified');
    expect(await verify(pairOf(secrets.get(leafSecret)), bundle, 'other.svc')).toBe(
      'ERR_TLS_CERT_ALTNAME_INVALID',
    );
    actions.length = 0;
    await keep();
    expect(actions).toEqual([]);
  });

  /** Both bundles: that which a client read at the last step, and that of now. */
  test('at every step of a rotation everything verifies, with the bundle of now and the one before', async () => {
    const one = world();
    // So that the machine's clock, by which TLS verifies, is within every certificate's time.
    one.nowMs = startMs - 250 * dayMs;
    let before = await one.keep();
    const certificates = new Set<string>();
    const roots = new Set<string>();
    for (let day = 0; day < 20; day += 1) {
      one.nowMs += day < 3 ? 83 * dayMs : dayMs;
      const held = pairOf(one.secrets.get(leafSecret));
      const now = await one.keep();
      const made = pairOf(one.secrets.get(leafSecret));
      for (const bundle of [before, now]) {
        if (one.nowMs < startMs - leafLifetimeMs / 2) continue; // these have expired by the machine's clock
        if (readCertificate(made.cert)!.notBeforeMs > Date.now()) continue;
        expect(await verify(made, bundle, webhookName)).toBe('verified');
        if (readCertificate(held.cert)!.notAfterMs > Date.now()) {
          expect(await verify(held, bundle, webhookName)).toBe('verified');
        }
      }
      certificates.add(made.cert);
      for (const pem of now.split(/(?<=-----END CERTIFICATE-----\n)/)) roots.add(pem);
      before = now;
    }
    const steps = one.actions.filter((action) => !/^(Issue|UpdateBundle) /.test(action));
    expect(steps).toEqual([
      'CreateRoot',
      'AddNextRoot',
      'MarkNextPublished',
      'PromoteRoot',
      'DropPreviousRoot',
    ]);
    expect(roots.size).toBe(2);
    expect(certificates.size).toBeGreaterThan(3);
  });

  test('a root that is not yet with everybody does not sign, until time runs out', async () => {
    const one = world();
    await one.keep();
    one.published = false;
    one.nowMs += (rootLifetimeMs * 3) / 4;
    await one.keep();
    one.nowMs += 30 * dayMs;
    await one.keep();
    expect(one.actions.filter((action) => /Root/.test(action))).toEqual([
      'CreateRoot',
      'AddNextRoot',
    ]);
    one.nowMs = startMs + rootLifetimeMs - drainMs + dayMs;
    await one.keep();
    expect(one.actions).toContain('PromoteRoot');
  });

  test.each<[string, (secrets: Map<string, SecretTexts>) => void, string[]]>([
    ['a leaf is deleted', (all) => all.delete(leafSecret), [`Issue ${leafSecret}`]],
    [
      'a key is another one’s',
      (all) =>
        all.set(leafSecret, {
          ...all.get(leafSecret)!,
          'tls.key': all.get(rootSecret)!['tls.key']!,
        }),
      [`Issue ${leafSecret}`],
    ],
    [
      'a certificate is no certificate',
      (all) => all.set(leafSecret, { ...all.get(leafSecret)!, 'tls.crt': 'nonsense' }),
      [`Issue ${leafSecret}`],
    ],
    [
      'a bundle is edited',
      (all) => all.set(leafSecret, { ...all.get(leafSecret)!, 'ca.crt': 'nonsense' }),
      [`UpdateBundle ${leafSecret}`],
    ],
    [
      'the root is deleted',
      (all) => all.delete(rootSecret),
      ['CreateRoot', `Issue ${leafSecret}`, `Issue ${workloadIssuerSecret}`],
    ],
    [
      'the root’s certificate is a leaf’s',
      (all) => all.set(rootSecret, all.get(leafSecret)!),
      ['CreateRoot', `Issue ${leafSecret}`, `Issue ${workloadIssuerSecret}`],
    ],
  ])('mends it when %s', async (_, damage, expected) => {
    const { keep, actions, secrets } = world();
    await keep();
    damage(secrets);
    actions.length = 0;
    const bundle = await keep();
    expect(actions).toEqual(expected);
    expect(await verify(pairOf(secrets.get(leafSecret)), bundle, webhookName)).toBe('verified');
  });

  test('a leaf is renewed at two thirds of its life', async () => {
    const one = world();
    await one.keep();
    one.actions.length = 0;
    one.nowMs += (leafLifetimeMs * 2) / 3 - 2 * 60 * 60 * 1000;
    await one.keep();
    expect(one.actions).toEqual([]);
    one.nowMs += 2 * 60 * 60 * 1000;
    await one.keep();
    expect(one.actions).toEqual([`Issue ${leafSecret}`, `Issue ${workloadIssuerSecret}`]);
  });
});

describe('the workloads’ intermediate', () => {
  const validity = { nowMs: startMs, lifetimeMs: dayMs };
  let root: Awaited<ReturnType<typeof issueRoot>>;
  let intermediate: typeof root;
  beforeAll(async () => {
    root = await issueRoot(validity);
    intermediate = await issueIntermediate(root, {
      ...validity,
      excluded: ['chaperone-system.svc'],
    });
  });
  const outcome = async (name: string): Promise<string> => {
    const leaf = await issueLeaf(intermediate, { ...validity, names: [name] });
    return verify({ cert: leaf.cert + intermediate.cert, key: leaf.key }, root.cert, name);
  };

  test('signs for targets', async () => {
    expect(await outcome('orders-db.data.svc')).toBe('verified');
    expect(await outcome('db.example.com')).toBe('verified');
  });

  test('cannot stand for our own services, nor can what it makes an issuer', async () => {
    expect(await outcome(webhookName)).toBe('excluded subtree violation');
    const second = await issueIntermediate(intermediate, { ...validity, excluded: ['none.test'] });
    const leaf = await issueLeaf(second, { ...validity, names: [webhookName] });
    const chain = { cert: leaf.cert + second.cert + intermediate.cert, key: leaf.key };
    expect(await verify(chain, root.cert, webhookName)).toBe('excluded subtree violation');
  });
});
