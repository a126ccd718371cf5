import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { formatPlaced } from './directory-store.ts';
import type { WatchBatch } from './resource-store.ts';
import { nextBatch, type TestDirectory, testDirectory } from './testing.ts';

const identity = (name: string, extra = ''): string => `
apiVersion: chaperone.dev/v1alpha1
kind: MachineIdentity
metadata: { name: ${name}, namespace: payments }
spec:
  owner: { team: payments }   # who answers
  purpose: Test
  subjects: [ { serviceAccount: { name: ${name} } } ]
  expiresAt: 2990-01-01T00:00:00Z
${extra}
`;
const secret = (password: string): string => `
apiVersion: v1
kind: Secret
metadata: { name: s, namespace: data }
stringData: { password: "${password}" }
`;
const summary = ({ events }: WatchBatch): string[] =>
  events.map(({ type, object }) => `${type} ${object.metadata.name}`).sort();

describe('DirectoryStore', () => {
  let directory: TestDirectory;
  beforeEach(() => {
    directory = testDirectory();
  });
  afterEach(async () => {
    await directory.close();
  });

  const names = async (store: Awaited<ReturnType<TestDirectory['open']>>): Promise<string[]> =>
    (await store.list('MachineIdentity')).items.map(({ metadata }) => metadata.name);

  test('reads nested folders and passes over what is not a resource file', async () => {
    directory.write('a.yaml', identity('a'));
    directory.write('deep/er/b.yml', identity('b'));
    directory.write('notes.txt', 'not yaml: [');
    directory.write('.hidden.yaml', 'not yaml: [');
    directory.write('.git/c.yaml', identity('c'));
    const store = await directory.open();
    expect(await names(store)).toEqual(['a', 'b']);
    expect(store.problems()).toEqual([]);
  });

  test('follows links to files, as Kubernetes mounts them', async () => {
    directory.write('..data/a.yaml', identity('a'));
    symlinkSync(join('..data', 'a.yaml'), join(directory.path, 'a.yaml'));
    expect(await names(await directory.open())).toEqual(['a']);
  });

  test('a file that is replaced, as editors do, changes what is in force', async () => {
    directory.write('a.yaml', identity('a'));
    const store = await directory.open();
    const before = await store.get('MachineIdentity', 'payments', 'a');
    const changed = nextBatch(store);
    directory.write('a.yaml', identity('a', '  suspended: true'));
    expect(summary(await changed)).toEqual(['Modified a']);
    const after = await store.get('MachineIdentity', 'payments', 'a');
    expect(after?.spec.suspended).toBe(true);
    expect(after?.metadata.uid).toBe(before?.metadata.uid);
    expect(after?.metadata.generation).toBe(2);
  });

  test('a file that is moved away and made anew, as other editors do, keeps its objects', async () => {
    directory.write('a.yaml', identity('a'));
    const store = await directory.open();
    const before = await store.get('MachineIdentity', 'payments', 'a');
    const changed = nextBatch(store);
    renameSync(join(directory.path, 'a.yaml'), join(directory.path, 'a.yaml~'));
    writeFileSync(join(directory.path, 'a.yaml'), identity('a', '  groups: [g]'));
    expect(summary(await changed)).toEqual(['Modified a']);
    const after = await store.get('MachineIdentity', 'payments', 'a');
    expect(after?.metadata.uid).toBe(before?.metadata.uid);
  });

  test('a file that is written in parts counts once it is whole', async () => {
    const store = await directory.open();
    const batches: WatchBatch[] = [];
    store.watch(['MachineIdentity'], (batch) => batches.push(batch));
    const path = join(directory.path, 'both.yaml');
    const changed = nextBatch(store);
    writeFileSync(path, `${identity('a')}---`);
    // The first half is a valid file of its own; the second follows in a later turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    appendFileSync(path, identity('b'));
    expect(summary(await changed)).toEqual(['Added a', 'Added b']);
    expect(batches.map(summary)).toEqual([[], ['Added a', 'Added b']]);
  });

  test('all changes of one moment come as one batch', async () => {
    const store = await directory.open();
    const changed = nextBatch(store);
    directory.write('a.yaml', identity('a'));
    directory.write('b.yaml', identity('b'));
    expect(summary(await changed)).toEqual(['Added a', 'Added b']);
  });

  test('a file that is removed takes its objects with it', async () => {
    directory.write('a.yaml', identity('a'));
    const store = await directory.open();
    const { uid } = (await store.get('MachineIdentity', 'payments', 'a'))!.metadata;
    let changed = nextBatch(store);
    directory.remove('a.yaml');
    expect(summary(await changed)).toEqual(['Deleted a']);
    changed = nextBatch(store);
    directory.write('a.yaml', identity('a'));
    await changed;
    expect((await store.get('MachineIdentity', 'payments', 'a'))?.metadata.uid).not.toBe(uid);
  });

  test('an object that moves to another file stays the same', async () => {
    directory.write('a.yaml', identity('a'));
    const store = await directory.open();
    const before = await store.get('MachineIdentity', 'payments', 'a');
    const changed = nextBatch(store, (batch) => summary(batch).includes('Added b'));
    renameSync(join(directory.path, 'a.yaml'), join(directory.path, 'z.yaml'));
    directory.write('b.yaml', identity('b'));
    await changed;
    expect(await store.get('MachineIdentity', 'payments', 'a')).toEqual(before);
  });

  test('an invalid file keeps its last valid state, says what is wrong, and can be mended', async () => {
    directory.write('both.yaml', `${identity('a')}---${identity('b')}`);
    const reports: string[][] = [];
    let reported = (): void => {};
    const store = await directory.open((problems) => {
      reports.push(problems.map(formatPlaced));
      reported();
    });
    const told = new Promise<void>((resolve) => {
      reported = resolve;
    });
    directory.write(
      'both.yaml',
      `${identity('a', '  suspended: true')}---${identity('b', '  colour: red')}`,
    );
    await told;
    expect(reports).toEqual([
      [
        expect.stringContaining(
          'both.yaml:12: MachineIdentity payments/b: spec.colour: unknown field',
        ),
      ],
    ]);
    expect(store.problems()).toHaveLength(1);
    // Not even the document that is valid: a file counts as a whole.
    expect((await store.get('MachineIdentity', 'payments', 'a'))?.spec.suspended).toBe(false);
    expect(await names(store)).toEqual(['a', 'b']);

    const mended = nextBatch(store);
    directory.write('both.yaml', `${identity('a', '  suspended: true')}---${identity('b')}`);
    expect(summary(await mended)).toEqual(['Modified a']);
    expect(store.problems()).toEqual([]);
  });

  test('the last valid state survives a restart', async () => {
    directory.write('a.yaml', identity('a'));
    const first = await directory.open();
    const before = await first.get('MachineIdentity', 'payments', 'a');
    first.close();
    directory.write('a.yaml', identity('a', '  colour: red'));
    const second = await directory.open();
    expect(await second.get('MachineIdentity', 'payments', 'a')).toEqual(before);
    expect(second.problems()).toHaveLength(1);
  });

  test('a first start with an invalid file is refused: a rule might be missing', async () => {
    directory.write('a.yaml', identity('a'));
    directory.write('broken.yaml', identity('b', '  colour: red'));
    await expect(directory.open()).rejects.toMatchObject({
      code: 'CHP-1010',
      message: expect.stringContaining('broken.yaml:2: MachineIdentity payments/b: spec.colour'),
    });
  });

  test('an object in two files belongs to the one that had it', async () => {
    directory.write('b.yaml', identity('a'));
    let reported = (): void => {};
    const store = await directory.open(() => reported());
    const told = new Promise<void>((resolve) => {
      reported = resolve;
    });
    directory.write('a.yaml', identity('a', '  suspended: true'));
    await told;
    expect(store.problems().map(formatPlaced)).toEqual([
      'a.yaml:2: MachineIdentity payments/a: is defined in b.yaml already',
    ]);
    expect((await store.get('MachineIdentity', 'payments', 'a'))?.spec.suspended).toBe(false);
    const changed = nextBatch(store);
    directory.remove('b.yaml');
    expect(summary(await changed)).toEqual(['Modified a']);
    expect(store.problems()).toEqual([]);
  });

  test('uids, versions and status survive a restart', async () => {
    directory.write('a.yaml', identity('a'));
    directory.write('s.yaml', secret('x'));
    const first = await directory.open();
    await first.patchStatus('MachineIdentity', 'payments', 'a', { activeSessions: 2 });
    const before = await first.get('MachineIdentity', 'payments', 'a');
    const secretBefore = await first.get('Secret', 'data', 's');
    first.close();
    const second = await directory.open();
    expect(await second.get('MachineIdentity', 'payments', 'a')).toEqual(before);
    expect(await second.get('Secret', 'data', 's')).toEqual(secretBefore);
  });

  test('Secrets never reach the state database', async () => {
    const value = 'correct horse battery staple';
    directory.write('s.yaml', secret(value));
    const store = await directory.open();
    expect(await store.get('Secret', 'data', 's')).toBeDefined();
    const rows = JSON.stringify(directory.database.prepare('SELECT * FROM objects').all());
    expect(rows).toContain('Secret');
    expect(rows).not.toContain(value);
    expect(rows).not.toContain(Buffer.from(value).toString('base64'));
  });

  test('warns about a Secret that others can read', async () => {
    directory.write('s.yaml', secret('x'));
    chmodSync(join(directory.path, 's.yaml'), 0o644);
    const store = await directory.open();
    expect(store.problems().map(formatPlaced)).toEqual([
      expect.stringContaining('s.yaml:2: Secret data/s: the file has mode 0644'),
    ]);
  });

  test('the state is for its owner alone', () => {
    expect(statSync(directory.state).mode & 0o777).toBe(0o700);
    for (const file of ['state.db', 'state.db-wal', 'installation.key']) {
      expect([file, statSync(join(directory.state, file)).mode & 0o777]).toEqual([file, 0o600]);
    }
  });

  test('a directory that vanishes, as an unmounted volume does, keeps everything in force', async () => {
    directory.write('a.yaml', identity('a'));
    let reported = (): void => {};
    const store = await directory.open(() => reported());
    const told = new Promise<void>((resolve) => {
      reported = resolve;
    });
    renameSync(directory.path, `${directory.path}-away`);
    await told;
    expect(store.problems().map(formatPlaced)).toEqual(['.:1: cannot be read: ENOENT']);
    expect(await names(store)).toEqual(['a']);
    const changed = nextBatch(store, (batch) => summary(batch).includes('Deleted a'));
    mkdirSync(directory.path);
    directory.write('b.yaml', identity('b'));
    await changed;
    expect(await names(store)).toEqual(['b']);
    rmSync(`${directory.path}-away`, { recursive: true });
  });

  test('a file that is too large is not read', async () => {
    directory.write('a.yaml', `# ${'x'.repeat(5 * 1024 * 1024)}`);
    await expect(directory.open()).rejects.toThrow('a.yaml:1: is larger than 1 MiB');
  });

  test('a patch keeps the comments, and a delete the other documents', async () => {
    const { readFileSync } = await import('node:fs');
    directory.write('both.yaml', `# Ours\n${identity('a')}---\n# Second\n${identity('b')}`);
    const store = await directory.open();
    await store.patch('MachineIdentity', 'payments', 'b', { spec: { suspended: true } });
    const text = (): string => readFileSync(join(directory.path, 'both.yaml'), 'utf8');
    expect(text()).toMatch(/# Ours[\s\S]*# who answers[\s\S]*# Second[\s\S]*suspended: true/);
    await store.delete('MachineIdentity', 'payments', 'a');
    expect(text()).toContain('# Second');
    expect(await names(store)).toEqual(['b']);
  });

  test('a patch does not overwrite what was saved a moment ago', async () => {
    directory.write('a.yaml', identity('a'));
    const store = await directory.open();
    directory.write('a.yaml', identity('a', '  groups: [g]'));
    await expect(
      store.patch('MachineIdentity', 'payments', 'a', { spec: { suspended: true } }),
    ).rejects.toMatchObject({ code: 'CHP-1013' });
  });
});
