/** Attestation as a thief would try it: by a program of his own, with a token that he has come by. */
import { releaseNamespace } from '../support/chaperone.ts';
import { kubectl } from '../support/kubectl.ts';
import { exec } from '../support/pods.ts';

/** Runs in a container with Node; whether the policy API is the real one is no concern of a thief's. */
const program = `
const { request } = require('node:https');
const options = {
  host: 'chaperone-policy-api.${releaseNamespace}.svc.cluster.local', path: process.argv[2], method: 'POST',
  rejectUnauthorized: false,
  headers: { authorization: 'Bearer ' + process.argv[1], 'content-type': 'application/json' },
};
request(options, (answer) => {
  let text = '';
  answer.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => {
    process.stdout.write(JSON.stringify({ status: answer.statusCode, ...JSON.parse(text) }));
  });
}).end(process.argv[3]);
`;

export interface AttestAnswer {
  readonly status: number;
  readonly code?: string;
  readonly message?: string;
  readonly controlToken?: string;
}

/** Shows a token to the policy API from container `app` of a pod. */
export const attestFrom = (namespace: string, pod: string, token: string): Promise<AttestAnswer> =>
  askFrom(namespace, pod, token, '/v1/attest', {
    program: { name: 'sidecar', version: '1' },
    bundleVersions: [1],
  });

/** Asks from there with a control token, as a pod does, for the credential of a target that there is not. */
export const leaseFrom = (namespace: string, pod: string, token: string): Promise<AttestAnswer> =>
  askFrom(namespace, pod, token, '/v1/credentials/no-such-target', {});

async function askFrom(
  namespace: string,
  pod: string,
  token: string,
  path: string,
  body: object,
): Promise<AttestAnswer> {
  const argv = ['node', '-e', program, token, path, JSON.stringify(body)];
  const { code, stdout, stderr } = await exec(namespace, pod, argv, { container: 'app' });
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as AttestAnswer;
}

/** A token as the sidecar of that pod has it: as its node asks for it. */
export async function sidecarToken(
  namespace: string,
  account: string,
  pod: string,
): Promise<string> {
  const node = ['--as=node', '--as-group=system:masters', '--as-group=system:nodes'];
  return (await kubectl([...tokenCommand(namespace, account, pod), ...node])).trim();
}

/** `create token` for our audience, bound to a pod. */
export const tokenCommand = (namespace: string, account: string, pod: string): string[] => [
  ...['create', 'token', account, '-n', namespace, '--audience=chaperone.dev'],
  ...['--bound-object-kind=Pod', `--bound-object-name=${pod}`],
];
