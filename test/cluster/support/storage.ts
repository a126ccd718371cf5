/** Storage for one claim: the cluster has no provisioner, so a directory of the node is offered by hand. */
import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, rmSync } from 'node:fs';
import { inside } from '../node/state.ts';
import type { ChartValues } from './chaperone.ts';
import { ownCluster } from './context.ts';
import { apply, kubectl } from './kubectl.ts';

/** The user of our images. */
const imageUser = 65532;

export interface NodeVolume {
  /** For the chart: a record that outlives the collector's pods. */
  readonly collectorValues: ChartValues;
  /** After what claimed it is gone. */
  remove(): Promise<void>;
}

/** Makes a PersistentVolume of a storage class that nothing else has. */
export async function makeNodeVolume(): Promise<NodeVolume> {
  const name = `node-volume-${randomBytes(3).toString('hex')}`;
  const path = inside(ownCluster(), 'volumes', name);
  mkdirSync(path, { recursive: true });
  chownSync(path, imageUser, imageUser);
  await apply([
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: name,
        hostPath: { path, type: 'Directory' },
      },
    },
  ]);
  const persistence = { enabled: true, size: '1Gi', storageClassName: name };
  return {
    collectorValues: { collector: { persistence } },
    async remove() {
      await kubectl(['delete', 'persistentvolume', name, '--timeout=60s']);
      rmSync(path, { recursive: true, force: true });
    },
  };
}
