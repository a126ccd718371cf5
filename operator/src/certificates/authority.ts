/** Carries out what the plan says, one action at a time, on Secrets that the caller reads and writes. */
import { issueIntermediate, issueLeaf, issueRoot } from './issue.ts';
import {
  bundleOf,
  type CertificateAction,
  type Existing,
  leafLifetimeMs,
  plan,
  rootLifetimeMs,
} from './plan.ts';
import {
  readIssued,
  readRoot,
  rootOf,
  rootSecret,
  type SecretTexts,
  workloadIssuerSecret,
  writeIssued,
  writeRoot,
} from './secrets.ts';

/** Secrets of one namespace. Both throw on failure; a write also when the Secret changed since it was read. */
export interface SecretAccess {
  read(name: string): Promise<SecretTexts | undefined>;
  /** Creates it, or replaces all its values. */
  write(name: string, texts: SecretTexts): Promise<void>;
}

export interface AuthorityOptions {
  readonly secrets: SecretAccess;
  /** DNS names by name of the Secret: each gets a leaf for them. */
  readonly leaves: ReadonlyMap<string, readonly string[]>;
  /** What the workloads' intermediate may sign nothing for: our own services' names. */
  readonly excluded: readonly string[];
  /** Whether everybody who is given the bundle has been given this one. */
  readonly isPublished: (bundle: string) => boolean;
  readonly nowMs: () => number;
  readonly onAction: (action: CertificateAction) => void;
}

/** More actions than any state takes: what goes on longer than this does not come to rest. */
const maxRounds = 8;

/** Brings all certificates in order. Resolves with the bundle of roots, as PEM. */
export async function keepCertificates(options: AuthorityOptions): Promise<string> {
  for (let round = 0; round < maxRounds; round += 1) {
    const existing = await readExisting(options);
    const actions = plan(existing, options.nowMs());
    for (const action of actions) {
      await carryOut(action, existing, options);
      options.onAction(action);
    }
    if (actions.length === 0) return bundleOf(existing.root);
  }
  throw new Error('the certificates do not come to rest: does somebody else write their Secrets?');
}

async function readExisting(options: AuthorityOptions): Promise<Existing> {
  const { secrets, leaves, isPublished } = options;
  const root = readRoot(await secrets.read(rootSecret));
  const issued = new Map<
    string,
    { names: readonly string[]; has: ReturnType<typeof readIssued> }
  >();
  for (const [name, names] of [...leaves, [workloadIssuerSecret, []] as const]) {
    issued.set(name, { names: [...names].sort(), has: readIssued(await secrets.read(name)) });
  }
  return {
    ...(root !== undefined && { root }),
    issued,
    bundlePublished: isPublished(bundleOf(root)),
  };
}

async function carryOut(
  action: CertificateAction,
  { root = {}, issued }: Existing,
  { secrets, leaves, excluded, nowMs }: AuthorityOptions,
): Promise<void> {
  const now = nowMs();
  const newRoot = async () => rootOf(await issueRoot({ nowMs: now, lifetimeMs: rootLifetimeMs }));
  const save = (state: NonNullable<Existing['root']>) =>
    secrets.write(rootSecret, writeRoot(state));
  const { next, nextPublishedMs: _, ...settled } = root;
  switch (action.type) {
    case 'CreateRoot':
      return save({ current: await newRoot() });
    case 'AddNextRoot':
      return save({ ...settled, next: await newRoot() });
    case 'MarkNextPublished':
      return save({ ...root, nextPublishedMs: now });
    case 'PromoteRoot': {
      const before = root.current?.facts;
      return save({
        current: next!,
        promotedMs: now,
        ...(before !== undefined && before.notAfterMs > now && { previous: before }),
      });
    }
    case 'DropPreviousRoot': {
      const { previous: _dropped, promotedMs: _promoted, ...rest } = root;
      return save(rest);
    }
    case 'Issue': {
      const signer = { cert: root.current!.facts.pem, key: root.current!.key };
      const validity = { nowMs: now, lifetimeMs: leafLifetimeMs };
      const names = leaves.get(action.secret);
      const made =
        names === undefined
          ? await issueIntermediate(signer, { ...validity, excluded })
          : await issueLeaf(signer, { ...validity, names });
      return secrets.write(action.secret, writeIssued(made, bundleOf(root)));
    }
    case 'UpdateBundle': {
      const { facts, key } = issued.get(action.secret)!.has;
      const pair = { cert: facts!.pem, key: key! };
      return secrets.write(action.secret, writeIssued(pair, bundleOf(root)));
    }
  }
}
