/** Jobs, init containers, CronJobs, StatefulSets and rolling updates: what their programs saw is what is on record. */
import { sidecarContainer } from '@chaperone/core/injection/names.ts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { waitFor } from './node/wait-for.ts';
import { installChaperone } from './support/chaperone.ts';
import { askDatabase, type Database } from './support/database.ts';
import { apply, get, type KubernetesObject, kubectl, list, patch } from './support/kubectl.ts';
import { jobEnd, ready, restricted } from './support/pods.ts';
import { recordIntegrity } from './support/record.ts';
import { faultsOf, recordOf, type SessionRecord } from './support/record-of-tally.ts';
import { removeShop, shopNamespaces, startShop } from './support/shop.ts';
import { shopIdentity, shopPolicies, shopTarget } from './support/shop-resources.ts';
import { loadClient, startTally, type Tally, type TallyLine } from './support/tally.ts';
import { podTemplate, serviceAccount, workloadDeployment } from './support/workloads.ts';

const shop = shopNamespaces();
const { data, tenant } = shop;
let database: Database;
let tally: Tally;

beforeAll(async () => {
  database = await startShop(shop, { 'pod-security.kubernetes.io/enforce': 'restricted' });
  // An insertion takes its time, so that there is always one in flight; the processor is free meanwhile.
  await askDatabase(
    database,
    `CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS
       'BEGIN PERFORM pg_sleep(0.2); RETURN NEW; END';
     CREATE TRIGGER linger BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION linger()`,
  );
  tally = await startTally(data);
  await installChaperone({ targetNamespaces: [data] });
  await apply(shopTarget(database, [tenant]));
});

afterAll(() => removeShop(shop));

/** An identity of that name, which may do what the shop's programs do. */
async function makeIdentity(name: string): Promise<void> {
  const access = { namespace: tenant, serviceAccount: name };
  const [policy] = shopPolicies(database, access);
  await apply([serviceAccount(name)], tenant);
  await apply([shopIdentity(access), policy]);
}

function job(name: string, template: KubernetesObject): KubernetesObject {
  const spec = { ...template.spec, restartPolicy: 'Never' };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: { backoffLimit: 0, template: { ...template, spec } },
  };
}

/** The pod template of a program that runs so many statements and ends. */
function client(name: string, worker: string, statements: number): KubernetesObject {
  const load = loadClient(database, tally, { worker, statements });
  return podTemplate({ name, serviceAccount: name, ...load });
}

const linesOf = async (...workers: string[]): Promise<TallyLine[]> =>
  (await tally.lines()).filter(({ worker }) => workers.includes(worker));

/** The record of an identity, once each of so many sessions has its end on it. */
function endedSessions(name: string, count: number): Promise<readonly SessionRecord[]> {
  return waitFor(
    async () => {
      const sessions = await recordOf(`${tenant}/${name}`);
      const closed = sessions.filter(({ events }) =>
        events.some(({ type }) => type === 'SessionClosed'),
      );
      return closed.length >= count && sessions;
    },
    { what: `the record of ${count} sessions of ${name}`, intervalMs: 500 },
  );
}

/**
 * Each statement of the tally is on record once and with the same outcome, and no other; what succeeded is in the
 * database, and nothing else; no event of any session is missing or double.
 */
async function compare(lines: readonly TallyLine[], sessions: readonly SessionRecord[]) {
  expect(sessions.flatMap(faultsOf)).toEqual([]);
  expect(againstRecord(lines, sessions)).toEqual({ missing: [], beyond: [] });
  const inserted = lines.filter(({ outcome }) => outcome === 'Ok').map(({ id }) => String(id));
  const ids = lines.map(({ id }) => id).join();
  const rows = await askDatabase(database, `SELECT id FROM orders WHERE id IN (${ids})`);
  expect(difference(inserted, rows.split('\n'))).toEqual({ missing: [], beyond: [] });
}

/** What the record has of the tally's statements too few or too many, each as `POD ID OUTCOME`. */
function againstRecord(lines: readonly TallyLine[], sessions: readonly SessionRecord[]) {
  const seen = lines.map(({ pod, id, outcome }) => `${pod} ${id} ${outcome}`);
  const recorded = sessions.flatMap(({ pod, statements }) =>
    [...statements].flatMap(([id, outcomes]) =>
      outcomes.map((outcome) => `${pod} ${id} ${outcome}`),
    ),
  );
  return difference(seen, recorded);
}

/** What one has of the other's lines too few or too many, each as often. */
function difference(expected: readonly string[], actual: readonly string[]) {
  const beyond = [...actual];
  const missing = expected.filter((line) => {
    const index = beyond.indexOf(line);
    if (index >= 0) beyond.splice(index, 1);
    return index < 0;
  });
  return { missing, beyond };
}

/** The programs ask for one thing in five that they may not have. */
function expectNothingFailed(lines: readonly TallyLine[]): void {
  const unexpected = lines.filter(({ outcome }) => outcome !== 'Ok' && outcome !== '42501');
  expect(unexpected).toEqual([]);
}

test('a Job with an init container: both are governed, it completes, and all of it is on record', async () => {
  const name = 'import';
  await makeIdentity(name);
  const template = client(name, 'import', 25);
  const { image, command, env } = loadClient(database, tally, { worker: 'init', statements: 5 });
  const variables = Object.entries(env).map(([key, value]) => ({ name: key, value }));
  const init = restricted({ name: 'prepare', image, command, env: variables });
  const spec = { ...template.spec, initContainers: [init] };
  await apply([job(name, { ...template, spec })], tenant);
  expect(await jobEnd(name, tenant)).toBe('Complete');

  const [pod] = await list('pods', '-n', tenant, '-l', `app=${name}`);
  const started = pod!.spec.initContainers.map((container: { name: string }) => container.name);
  expect(started).toEqual([sidecarContainer, 'prepare']);
  expect(pod!.status.phase).toBe('Succeeded');
  const [sidecar] = pod!.status.initContainerStatuses;
  expect(sidecar).toMatchObject({ restartCount: 0, state: { terminated: { exitCode: 0 } } });

  const lines = await linesOf('import', 'init');
  expect(lines.filter(({ worker }) => worker === 'init').map(({ outcome }) => outcome)).toEqual([
    ...['Ok', 'Ok', 'Ok', 'Ok', '42501'],
  ]);
  expect(lines).toHaveLength(30);
  expectNothingFailed(lines);
  await compare(lines, await endedSessions(name, 2));
});

test("a CronJob's pods", async () => {
  const name = 'nightly';
  await makeIdentity(name);
  const { spec } = job(name, client(name, name, 10));
  await apply(
    [
      {
        apiVersion: 'batch/v1',
        kind: 'CronJob',
        metadata: { name },
        spec: { schedule: '0 3 * * *', jobTemplate: { spec } },
      },
    ],
    tenant,
  );
  for (const run of ['first', 'second']) {
    await kubectl(['create', 'job', run, `--from=cronjob/${name}`, '-n', tenant]);
    expect(await jobEnd(run, tenant)).toBe('Complete');
  }
  const lines = await linesOf(name);
  expect(lines).toHaveLength(20);
  expectNothingFailed(lines);
  await compare(lines, await endedSessions(name, 2));
});

test("a StatefulSet's pod, and the one that comes after it under the same name", async () => {
  const name = 'ledger';
  await makeIdentity(name);
  const template = podTemplate({
    name,
    serviceAccount: name,
    ...loadClient(database, tally, { worker: name }),
  });
  await apply(
    [
      {
        apiVersion: 'apps/v1',
        kind: 'StatefulSet',
        metadata: { name },
        spec: { serviceName: name, selector: { matchLabels: { app: name } }, template },
      },
    ],
    tenant,
  );
  await ready(`statefulset/${name}`, tenant);
  const uid = async () => (await get('pod', `${name}-0`, '-n', tenant)).metadata.uid;
  const first = await uid();
  await waitFor(async () => (await linesOf(name)).length >= 5);
  await kubectl(['delete', 'pod', `${name}-0`, '-n', tenant, '--timeout=60s']);
  await waitFor(async () => (await uid()) !== first);
  await ready(`statefulset/${name}`, tenant);
  const before = (await linesOf(name)).length;
  await waitFor(async () => (await linesOf(name)).length >= before + 5);
  await end('statefulset', name);

  const lines = await linesOf(name);
  expect(new Set(lines.map(({ pod }) => pod))).toEqual(new Set([`${name}-0`]));
  expectNothingFailed(lines);
  const sessions = await endedSessions(name, 2);
  const pods = sessions.map(({ events }) => events[0]!.proof.podUid);
  expect(new Set(pods).size).toBe(2);
  await compare(lines, sessions);
});

test('a rolling update under load loses no event and drops no statement in flight', async () => {
  const name = 'storefront';
  await makeIdentity(name);
  const load = { worker: name, connections: 2, lingerMs: 2000 };
  const options = { name, serviceAccount: name, replicas: 2, ...loadClient(database, tally, load) };
  const deployment = workloadDeployment({
    ...options,
    podSpec: { terminationGracePeriodSeconds: 30 },
  });
  await apply([deployment], tenant);
  await ready(`deployment/${name}`, tenant);
  const podsOf = async () => new Set((await linesOf(name)).map(({ pod }) => pod));
  for (const updates of [1, 2]) {
    await waitFor(async () => (await podsOf()).size === 2 * updates);
    await kubectl(['rollout', 'restart', `deployment/${name}`, '-n', tenant]);
    await ready(`deployment/${name}`, tenant);
  }
  await waitFor(async () => (await podsOf()).size === 6);
  await end('deployment', name);

  const lines = await linesOf(name);
  expectNothingFailed(lines);
  // Each pod went on after it was told to end.
  const last = Map.groupBy(
    lines.filter(({ ending }) => ending),
    ({ pod }) => pod,
  );
  expect(last.size).toBe(6);
  process.stdout.write(
    `two rolling updates of two pods under load: ${lines.length} statements, ` +
      `${[...last.values()].flat().length} of them ended after their pod was told to\n`,
  );
  await compare(lines, await endedSessions(name, 12));
});

test('programs that leave in the middle of a statement: that statement is on record too', async () => {
  const name = 'hasty';
  await makeIdentity(name);
  const load = loadClient(database, tally, { worker: name, connections: 2, lingerMs: 'none' });
  await apply([workloadDeployment({ name, serviceAccount: name, replicas: 2, ...load })], tenant);
  await ready(`deployment/${name}`, tenant);
  await waitFor(async () => (await linesOf(name)).length >= 20);
  await end('deployment', name);

  const lines = await linesOf(name);
  expectNothingFailed(lines);
  const sessions = await endedSessions(name, 4);
  expect(sessions.flatMap(faultsOf)).toEqual([]);
  const { missing, beyond } = againstRecord(lines, sessions);
  expect(missing).toEqual([]);
  // At most what each of four connections had under way. Its end may have come before the program's.
  expect(beyond.length).toBeLessThanOrEqual(4);
  for (const line of beyond) expect(line).toMatch(/ (Ok|42501|Unknown|Cancelled)$/);
});

test('the collector misses nothing of any of these programs', async () => {
  const { sources, alerts } = await recordIntegrity();
  expect(alerts).toEqual([]);
  expect(sources.length).toBeGreaterThan(10);
  const missing = sources.flatMap((source) => source.missing);
  expect(missing).toEqual([]);
});

/** Takes all its pods away and waits until they are gone. */
async function end(kind: string, name: string): Promise<void> {
  await patch(kind, name, { spec: { replicas: 0 } }, tenant);
  await waitFor(async () => (await list('pods', '-n', tenant, '-l', `app=${name}`)).length === 0, {
    what: `the end of ${name}'s pods`,
  });
}
