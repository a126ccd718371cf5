import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import {
  parseAuthentication,
  parseErrorFields,
  parseNegotiateProtocolVersion,
  parseSaslMechanisms,
} from '../messages/backend-reader.ts';
import { passwordMessage, saslInitialResponse, saslResponse } from '../messages/frontend-writer.ts';
import { ProtocolError } from '../messages/protocol-error.ts';
import { Auth, Backend } from '../messages/types.ts';
import { BackendError } from './backend-error.ts';
import { loginRefused } from './backend-refusal.ts';
import { certificateHash } from './certificate-hash.ts';
import type { HandshakeReader } from './handshake-reader.ts';
import { SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramClient, ScramError } from './scram.ts';

/** Notices and requests of one login; PostgreSQL's longest has four. */
const MAX_LOGIN_MESSAGES = 100;

export interface BackendLogin {
  readonly username: string;
  readonly password: string;
  /** Whether a server that asks for no password at all is believed; default false. */
  readonly allowTrust?: boolean;
  /** `Require`: no login without SCRAM-SHA-256-PLUS. Default `Prefer`. */
  readonly channelBinding?: 'Prefer' | 'Require';
}

/** The connection that a login takes place on. */
export interface LoginChannel {
  readonly socket: Socket;
  readonly reader: HandshakeReader;
  /** TLS with a verified certificate: nobody listens in or plays the server. */
  readonly confidential: boolean;
}

/** Login messages have some hundred bytes; ErrorResponses may carry a context. */
export const MAX_LOGIN_MESSAGE_BYTES = 65_536;

/** RFC 7677 §4. Kept where the server's certificate does not already say who it is. */
const MIN_ITERATIONS_IN_THE_CLEAR = 4_096;
/** About half a second of one core. */
const MAX_ITERATIONS = 1_000_000;
const MD5_SALT_BYTES = 4;

/**
 * Answers the server's authentication requests until AuthenticationOk. Each request is taken in its turn only:
 * a server cannot skip its own proof, nor ask for a weaker one after a stronger.
 *
 * @returns the minor version that the server negotiated, or undefined when it took what was asked
 * @throws BackendError, ProtocolError, HandshakeEnded
 */
export async function authenticateToBackend(
  channel: LoginChannel,
  login: BackendLogin,
): Promise<number | undefined> {
  const { reader } = channel;
  let minor: number | undefined;
  /** The proof has been given, and where there is one, the server's verified: only Ok may follow. */
  let proven = false;
  for (let count = 0; count < MAX_LOGIN_MESSAGES; count += 1) {
    const { type, buffer, start, end } = await reader.message(MAX_LOGIN_MESSAGE_BYTES);
    if (type === Backend.ErrorResponse) throw loginRefused(parseErrorFields(buffer, start, end));
    if (type === Backend.NegotiateProtocolVersion && minor === undefined && !proven) {
      minor = parseNegotiateProtocolVersion(buffer, start, end).minor;
      continue;
    }
    if (type === Backend.NoticeResponse) continue;
    if (type !== Backend.Authentication) {
      throw new ProtocolError('UnexpectedMessage', 'not a message of a login');
    }
    const { kind, data } = parseAuthentication(buffer, start, end);
    if (kind === Auth.Ok) {
      if (data.length > 0) throw new ProtocolError('TrailingBytes', 'AuthenticationOk');
      if (!proven && login.allowTrust !== true) throw noProof();
      return minor;
    }
    if (proven) throw new ProtocolError('UnexpectedMessage', 'a second authentication request');
    proven = true;
    await prove(kind, data, channel, login);
  }
  throw new ProtocolError('TooLarge', 'no end to the messages of the login');
}

/** Answers one kind of request to its end. */
async function prove(
  kind: number,
  data: Buffer,
  channel: LoginChannel,
  login: BackendLogin,
): Promise<void> {
  const { socket } = channel;
  if (login.channelBinding === 'Require' && kind !== Auth.SASL) throw weaker('no channel binding');
  switch (kind) {
    case Auth.CleartextPassword:
      if (!channel.confidential) throw weaker('a password in the clear');
      socket.write(passwordMessage(login.password));
      return;
    case Auth.MD5Password:
      if (data.length !== MD5_SALT_BYTES) throw new ProtocolError('InvalidLength', 'md5 salt');
      socket.write(passwordMessage(md5Proof(login, data)));
      return;
    case Auth.SASL:
      await scram(parseSaslMechanisms(data), channel, login);
      return;
    case Auth.SASLContinue:
    case Auth.SASLFinal:
      throw new ProtocolError('UnexpectedMessage', 'SASL that has not begun');
    default:
      throw weaker(`authentication request ${kind}`);
  }
}

/** `md5` and the hex of md5(md5(password, user), salt): PostgreSQL's manual, "Message Flow". */
export function md5Proof(
  login: { readonly username: string; readonly password: string },
  salt: Buffer,
): string {
  const inner = createHash('md5')
    .update(login.password + login.username)
    .digest('hex');
  return `md5${createHash('md5').update(inner).update(salt).digest('hex')}`;
}

async function scram(
  mechanisms: readonly string[],
  { socket, reader, confidential }: LoginChannel,
  login: BackendLogin,
): Promise<void> {
  const binding = socket instanceof TLSSocket ? bindingOf(socket) : undefined;
  const plus = binding !== undefined && mechanisms.includes(SCRAM_SHA_256_PLUS);
  if (!plus && login.channelBinding === 'Require') throw weaker('no channel binding');
  if (!plus && !mechanisms.includes(SCRAM_SHA_256)) throw weaker('SASL mechanisms');
  const client = new ScramClient({
    password: login.password,
    channelBinding: plus ? { data: binding } : binding !== undefined ? 'NotOffered' : 'None',
    minIterations: confidential ? 1 : MIN_ITERATIONS_IN_THE_CLEAR,
    maxIterations: MAX_ITERATIONS,
  });
  try {
    const mechanism = plus ? SCRAM_SHA_256_PLUS : SCRAM_SHA_256;
    socket.write(saslInitialResponse(mechanism, client.first()));
    const serverFirst = await saslData(reader, Auth.SASLContinue);
    socket.write(saslResponse(await client.final(serverFirst)));
    client.verify(await saslData(reader, Auth.SASLFinal));
  } catch (error) {
    if (!(error instanceof ScramError)) throw error;
    throw new BackendError('CHP-2011', {
      message: 'the target did not complete its side of the authentication',
      sqlstate: '08006',
      logDetail: `SCRAM: ${error.code}: ${error.message}`,
      cause: error,
    });
  }
}

async function saslData(reader: HandshakeReader, expected: number): Promise<Buffer> {
  const { type, buffer, start, end } = await reader.message(MAX_LOGIN_MESSAGE_BYTES);
  if (type === Backend.ErrorResponse) throw loginRefused(parseErrorFields(buffer, start, end));
  if (type === Backend.Authentication) {
    const { kind, data } = parseAuthentication(buffer, start, end);
    if (kind === expected) return data;
  }
  throw new ProtocolError('UnexpectedMessage', 'not the next message of SASL');
}

function bindingOf(socket: TLSSocket): Buffer | undefined {
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined ? undefined : certificateHash(certificate.raw);
}

function noProof(): BackendError {
  return new BackendError('CHP-2011', {
    message: 'the target asks for no proof of identity, and none was agreed on',
    sqlstate: '08006',
    logDetail: 'AuthenticationOk without an authentication request (trust)',
  });
}

function weaker(what: string): BackendError {
  return new BackendError('CHP-5003', {
    message: 'the target asks for an authentication that is not spoken or not safe here',
    sqlstate: '08006',
    logDetail: what,
  });
}
