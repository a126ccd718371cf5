/** What the policy API answers, apart from HTTP. */
import { createPublicKey, hkdfSync, type KeyObject } from 'node:crypto';
import { type BackendReport, ControlRefusal } from '@chaperone/core/control/types.ts';
import {
  type AttestRequest,
  type AttestResponse,
  type AuthenticateRequest,
  type AuthenticateResponse,
  bundleVersions,
  type CertificateResponse,
  type ControlProblem,
  type CredentialResponse,
  type TargetsEvent,
} from '@chaperone/core/control/wire.ts';
import type { PolicyBundle } from '@chaperone/core/policy/types.ts';
import { targetNames } from '@chaperone/core/resources/target-names.ts';
import { type Issuer, issueServing, publicKeyRefusal } from '../certificates/issue.ts';
import type { BackendReports } from '../controllers/backend-reports.ts';
import type { Stored } from '../store/resource-store.ts';
import type { TicketStore } from '../tickets/ticket-store.ts';
import type { Attestor } from './attestor.ts';
import type { StreamContent } from './event-stream.ts';
import { authenticateTicket } from './in-process.ts';
import type { PolicyState } from './policy-state.ts';
import { RequestProblem } from './problems.ts';
import type { TokenBearer, Tokens } from './tokens.ts';

const recordKeyBytes = 32;
const certificateMs = 24 * 60 * 60 * 1000;
/** One that ends sooner is of no use. */
const minCertificateMs = 60 * 1000;
/** A certificate with more would be longer than some clients take. */
const maxNames = 1000;

export interface PolicyServiceOptions {
  readonly state: PolicyState;
  readonly attestor: Attestor;
  readonly tokens: Tokens;
  /** Absent: gateways take ServiceAccount tokens alone. */
  readonly tickets?: TicketStore;
  /** Where statuses are written, what sidecars and gateways say of backends. */
  readonly backends?: BackendReports;
  readonly installationKey: Buffer;
  /** The intermediate that signs serving certificates, as it is now; absent: none are issued. */
  readonly issuer?: () => Promise<Issuer>;
  readonly clusterDomain: string;
  /** Host names that gateways are reached under. */
  readonly gatewayNames: readonly string[];
  /** Nobody is certified for these, nor for what stands below them. */
  readonly reservedNames: readonly string[];
  readonly maxPolicyAgeMs: number;
  readonly nowMs: () => number;
}

export class PolicyService {
  readonly #options: PolicyServiceOptions;
  readonly #recordKey: string;
  /** Bundles as JSON: one identity may have many pods. */
  readonly #json = new WeakMap<PolicyBundle, string>();

  constructor(options: PolicyServiceOptions) {
    this.#options = options;
    const key = hkdfSync('sha256', options.installationKey, '', recordKeyInfo, recordKeyBytes);
    this.#recordKey = Buffer.from(key).toString('base64');
  }

  /** `token`: as the program showed it, from `address`. Throws ControlRefusal. */
  async attest(request: AttestRequest, token: string, address: string): Promise<AttestResponse> {
    const { attestor, tokens, maxPolicyAgeMs } = this.#options;
    if (!request.bundleVersions.some((version) => bundleVersions.includes(version))) {
      throw new ControlRefusal(
        'CHP-7004',
        `${request.program.name} ${request.program.version} reads policies of form ${request.bundleVersions.join(', ')}; this policy API writes ${bundleVersions.join(', ')}.`,
        'Bring both to versions that are at most two apart.',
      );
    }
    const program = await attestor.attest(token, address);
    const { role, source } = program;
    if ((role === 'Gateway') !== (request.program.name === 'gateway')) {
      throw new ControlRefusal(
        'CHP-2006',
        role === 'Gateway'
          ? 'This ServiceAccount is a gateway’s, and no sidecar may have it.'
          : `ServiceAccount ${source.namespace}/${source.serviceAccount} is no gateway’s.`,
        'Have gatewayServiceAccounts of the policy API name those of gateways, and no others.',
      );
    }
    const control = await tokens.control(program);
    const ingest = await tokens.ingest(program);
    return {
      role,
      controlToken: control.token,
      controlExpiresAt: timeText(control.expiresMs),
      ingestToken: ingest.token,
      ingestExpiresAt: timeText(ingest.expiresMs),
      source,
      recordKey: this.#recordKey,
      maxPolicyAgeMs,
    };
  }

  /** What the stream of a pod's policy tells now, or of an identity's that a gateway asks for. */
  policyContent(bearer: TokenBearer, identityUid: string | undefined): StreamContent {
    const { state } = this.#options;
    const uid =
      identityUid ?? state.identityOf(bearer.namespace, bearer.serviceAccount)?.metadata.uid;
    const bundle = uid === undefined ? undefined : state.bundle(uid);
    if (bundle !== undefined) {
      return { key: `bundle ${bundle.digest}`, fields: `"bundle":${this.#jsonOf(bundle)}` };
    }
    const refusal = identityUid === undefined ? unboundRefusal(bearer) : goneRefusal;
    const text = JSON.stringify(refusal);
    return { key: `refusal ${text}`, fields: `"bundle":null,"refusal":${text}` };
  }

  targetsContent(): StreamContent {
    const targets: TargetsEvent['targets'] = this.#options.state
      .targets()
      .map(({ metadata: { uid, namespace, name }, spec: { protocol, host, port } }) => ({
        uid,
        namespace,
        name,
        protocol,
        host,
        port,
      }));
    const text = JSON.stringify(targets);
    return { key: text, fields: `"targets":${text}` };
  }

  /** Throws ControlRefusal. */
  lease(
    bearer: TokenBearer,
    identityUid: string | undefined,
    target: { readonly uid: string; readonly generation?: number | undefined },
  ): CredentialResponse {
    const { state, nowMs, maxPolicyAgeMs } = this.#options;
    const uid = this.#identityOf(bearer, identityUid);
    const credential = state.lease(uid, target, bearer.ownNameServers);
    return { ...credential, expiresAt: timeText(nowMs() + maxPolicyAgeMs) };
  }

  /**
   * Takes note of what became of connecting to a target. Throws ControlRefusal, as `lease`, where that is not
   * open to the bearer; RequestProblem CHP-7003 where it should be told later, or elsewhere.
   */
  reportBackend(bearer: TokenBearer, report: BackendReport): void {
    const { state, backends } = this.#options;
    const { targetUid, targetGeneration, credentialVersion, outcome } = report;
    const target =
      bearer.role === 'Gateway'
        ? state.target(targetUid)
        : state.openTarget(this.#identityOf(bearer, undefined), targetUid);
    if (target === undefined) {
      throw new ControlRefusal('CHP-2012', 'There is no such target.', 'Follow the targets.');
    }
    if (backends?.started !== true) {
      throw new RequestProblem(503, 'CHP-7003', 'Another replica takes reports.', {
        retryAfterSeconds: 1,
        expected: true,
      });
    }
    const basis = state.backendBasis(target);
    if (basis.generation !== targetGeneration || basis.credentialVersion !== credentialVersion) {
      // It is of a Target or Secret that was changed since, or of one that we have yet to hear of.
      throw new RequestProblem(409, 'CHP-7003', 'The report is of another version of the Target.', {
        retryAfterSeconds: 1,
      });
    }
    backends.add(targetUid, basis.key, bearer.sub, outcome);
  }

  /** Throws ControlRefusal CHP-2008. */
  async certificate(bearer: TokenBearer, publicKeyPem: string): Promise<CertificateResponse> {
    const { issuer, nowMs } = this.#options;
    if (issuer === undefined) {
      throw notIssued('This policy API issues no certificates.', 'Give the program its own.');
    }
    const publicKey = readPublicKey(publicKeyPem);
    const names = this.#certifiedNames(bearer);
    if (names.length === 0) {
      throw notIssued(
        `No Target with a host name is open to namespace ${bearer.namespace}.`,
        'Have allowedNamespaces of a Target include it.',
      );
    }
    const signer = await issuer();
    if (signer.certificate.notAfter.getTime() - nowMs() < minCertificateMs) {
      throw notIssued(
        'The certificate that signs others has ended.',
        'Have the controllers renew it: they do so by themselves while one of them leads.',
      );
    }
    const { chainPem, expiresMs } = await issueServing(signer, {
      publicKey,
      commonName: bearer.role === 'Gateway' ? 'chaperone gateway' : 'chaperone sidecar',
      names,
      nowMs: nowMs(),
      validMs: certificateMs,
    });
    return { certificateChain: chainPem, expiresAt: timeText(expiresMs) };
  }

  /**
   * Who showed that to a gateway, whose pod's uid that is. Throws ControlRefusal CHP-2001, the same one whatever
   * is wrong; TooMany.
   */
  async authenticate(request: AuthenticateRequest, gateway: string): Promise<AuthenticateResponse> {
    const { state, attestor, tickets } = this.#options;
    const { user, secret, targetUid } = request;
    const workload = await attestor.authenticate(secret, gateway);
    if (workload !== undefined) {
      const { namespace, serviceAccount, pod, issuer, expiresMs } = workload;
      const identity = state.identityOf(namespace, serviceAccount);
      // The token tells those of one name apart: nobody's login hangs on what others call theirs.
      if (identity === undefined || !state.isNamed(identity, user, targetUid)) {
        throw wrongProof(`the token is ServiceAccount ${namespace}/${serviceAccount}’s`);
      }
      return {
        identityUid: identity.metadata.uid,
        proof: {
          method: 'ServiceAccountToken',
          issuer,
          namespace,
          serviceAccount,
          ...(pod !== undefined && { pod: pod.name, podUid: pod.uid }),
        },
        ...(expiresMs !== undefined && { sessionEndsAt: timeText(expiresMs) }),
      };
    }
    if (tickets === undefined) throw wrongProof('what was given is no ServiceAccount token');
    const caller = authenticateTicket(state, tickets, user, secret, targetUid);
    return {
      identityUid: caller.identityUid,
      proof: caller.proof,
      ...(caller.sessionEndsMs !== undefined && {
        sessionEndsAt: timeText(caller.sessionEndsMs),
      }),
    };
  }

  #identityOf(bearer: TokenBearer, identityUid: string | undefined): string {
    if (bearer.role === 'Gateway') return identityUid ?? '';
    const { namespace, serviceAccount } = bearer;
    const identity = this.#options.state.identityOf(namespace, serviceAccount);
    if (identity !== undefined) return identity.metadata.uid;
    const { code, message, hint } = unboundRefusal(bearer);
    throw new ControlRefusal(code, message, hint);
  }

  /**
   * Of targets that the bearer may stand in for; first those under which a gateway is reached, then its own
   * namespace's, then the older ones'. What is too many is left out: whoever opens Targets to others must not
   * keep them from a certificate.
   */
  #certifiedNames({ role, namespace }: TokenBearer): string[] {
    const { state, clusterDomain, gatewayNames, reservedNames } = this.#options;
    const gateway = role === 'Gateway';
    const rank = ({ metadata }: Stored<'Target'>): number =>
      metadata.namespace === namespace ? 0 : Date.parse(metadata.creationTimestamp);
    const targets = [...(gateway ? state.targets() : state.openTargets(namespace))].sort(
      (a, b) => rank(a) - rank(b),
    );
    const names = [
      ...(gateway ? gatewayNames : []),
      ...targets.flatMap(({ spec: { host, aliases = [] } }) => [host, ...aliases]),
    ].flatMap((name) => targetNames(name, [], clusterDomain, namespace));
    const isReserved = (name: string): boolean =>
      reservedNames.some((reserved) => name === reserved || name.endsWith(`.${reserved}`));
    return [...new Set(names)].filter((name) => !isReserved(name)).slice(0, maxNames);
  }

  #jsonOf(bundle: PolicyBundle): string {
    const known = this.#json.get(bundle);
    if (known !== undefined) return known;
    const text = JSON.stringify(bundle);
    this.#json.set(bundle, text);
    return text;
  }
}

const recordKeyInfo = 'chaperone.dev/record/v1';

const timeText = (epochMs: number): string => new Date(epochMs).toISOString();

function unboundRefusal({ namespace, serviceAccount }: TokenBearer): ControlProblem {
  return {
    code: 'CHP-2005',
    message: `No MachineIdentity has ServiceAccount ${namespace}/${serviceAccount} as its subject.`,
    hint: `Create a MachineIdentity in namespace ${namespace} with spec.subjects: [{serviceAccount: {name: ${serviceAccount}}}].`,
  };
}

const goneRefusal: ControlProblem = {
  code: 'CHP-2004',
  message: 'The identity does not exist any more.',
  hint: 'Ask the owner of the MachineIdentity.',
};

function wrongProof(why: string): ControlRefusal {
  return new ControlRefusal(
    'CHP-2001',
    'Authentication failed.',
    'Use a valid ticket, or a ServiceAccount token with the audience chaperone.dev, as the password.',
    why,
  );
}

function notIssued(message: string, hint: string): ControlRefusal {
  return new ControlRefusal('CHP-2008', message, hint);
}

function readPublicKey(pem: string): KeyObject {
  const hint =
    'Send a P-256, P-384 or RSA key of 2048 bits or more as SubjectPublicKeyInfo in PEM.';
  let key: KeyObject;
  try {
    // A private key or a certificate would be taken, too; neither has any business here.
    if (!/^\s*-----BEGIN PUBLIC KEY-----/.test(pem)) throw new Error('another kind of PEM');
    key = createPublicKey({ key: pem, format: 'pem', type: 'spki' });
  } catch {
    throw notIssued('The public key cannot be read.', hint);
  }
  const refusal = publicKeyRefusal(key);
  if (refusal !== undefined) throw notIssued(`The public key is not certified: ${refusal}.`, hint);
  return key;
}
