// Waits until the webhook answers: a MachineIdentity is created as a dry run, which admission has to let pass.
// While the webhook is not reached, the API server refuses it.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const account = '/var/run/secrets/kubernetes.io/serviceaccount';
const {
  KUBERNETES_SERVICE_HOST: host,
  KUBERNETES_SERVICE_PORT: port,
  TIMEOUT_SECONDS,
} = process.env;
const namespace = readFileSync(`${account}/namespace`, 'utf8');
const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
const url = `https://${authority}/apis/chaperone.dev/v1alpha1/namespaces/${namespace}/machineidentities?dryRun=All`;
const identity = {
  apiVersion: 'chaperone.dev/v1alpha1',
  kind: 'MachineIdentity',
  metadata: { name: 'chaperone-admission-check' },
  spec: {
    owner: { team: 'chaperone', contact: 'chaperone@example.com' },
    purpose: 'Asks whether admission answers; never stored',
    subjects: [{ serviceAccount: { name: 'chaperone-admission-check' } }],
    expiresAt: new Date(Date.now() + 86_400_000).toISOString(),
  },
};

async function ask() {
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${readFileSync(`${account}/token`, 'utf8')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(identity),
    signal: AbortSignal.timeout(10_000),
  });
  if (answer.ok) return undefined;
  return `HTTP ${answer.status}: ${(await answer.text()).slice(0, 500)}`;
}

const end = Date.now() + Number(TIMEOUT_SECONDS) * 1000;
for (;;) {
  const problem = await ask().catch((error) => `${error.message}: ${error.cause?.message ?? ''}`);
  if (problem === undefined) break;
  console.error(problem);
  if (Date.now() > end) process.exit(1);
  await sleep(2000);
}
console.log('admission answers');
