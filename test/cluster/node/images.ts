import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ClusterState, containerdSocket } from './state.ts';

/** Loads an archive, as docker and buildah save them, into the cluster's node. */
export function importImage(state: ClusterState, archive: string): void {
  ctr(state, 'images', 'import', '--digests=false', archive);
}

/** Runs containerd's own client against the cluster's containerd, in the namespace that Kubernetes uses. */
export function ctr(state: ClusterState, ...args: readonly string[]): string {
  return execFileSync('ctr', ['--address', containerdSocket(state), '-n', 'k8s.io', ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** An archive whose image is one static program; returns its path, in a directory that the caller removes. */
export function singleProgramImage(
  program: string,
  name: string,
): { archive: string; directory: string } {
  const directory = mkdtempSync(join(tmpdir(), 'chaperone-image-'));
  const at = (...path: string[]) => join(directory, ...path);
  const tar = (...args: string[]) => execFileSync('tar', args, { stdio: 'pipe' });
  mkdirSync(at('root'));
  copyFileSync(program, at('root', 'program'));
  tar('-C', at('root'), '--owner=0', '--group=0', '-cf', at('layer.tar'), 'program');
  rmSync(at('root'), { recursive: true });
  const diffId = createHash('sha256')
    .update(readFileSync(at('layer.tar')))
    .digest('hex');
  const config = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Entrypoint: ['/program'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] },
  };
  writeFileSync(at('config.json'), JSON.stringify(config));
  writeFileSync(
    at('manifest.json'),
    JSON.stringify([{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }]),
  );
  const archive = at('image.tar');
  tar('-C', directory, '-cf', archive, 'manifest.json', 'config.json', 'layer.tar');
  return { archive, directory };
}
