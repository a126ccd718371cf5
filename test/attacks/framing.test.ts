/**
 * Framing after login (§1–3), and a backend that turns hostile once it has let the proxy in (§4): no crash, no
 * hang, nothing forwarded that was not understood, and a record of the violation.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import * as server from '@chaperone/sidecar/protocols/postgres/messages/backend-writer.ts';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  Answer,
  type Attacker,
  AttackLab,
  canaries,
  extended,
  leaks,
} from '../support/attack-lab.ts';
import { describeMessage } from '../support/raw-client.ts';

/** ProtocolViolation events so far, by side; everything recorded is in the collector by then. */
async function violations(lab: AttackLab): Promise<Record<string, number>> {
  const { recorder } = lab.chaperone.standalone;
  await new Promise<void>((resolve, reject) =>
    recorder.whenDurable('Collector', (failure) => (failure ? reject(failure) : resolve())),
  );
  const path = join(lab.chaperone.directory, '.chaperone', 'record', 'record.db');
  const database = new DatabaseSync(path, { readOnly: true });
  const lines = database
    .prepare("SELECT line FROM events WHERE type = 'ProtocolViolation'")
    .all() as { line: string }[];
  database.close();
  const bySide: Record<string, number> = { Client: 0, Backend: 0 };
  for (const { line } of lines) bySide[(JSON.parse(line) as { side: string }).side]! += 1;
  return bySide;
}

const insert = 'INSERT INTO plain VALUES (55, $$cut$$)';
const messages: Readonly<Record<string, Buffer>> = {
  Query: write.query(insert),
  Parse: write.parse('s', insert, [23]),
  Bind: write.bind({
    portal: 'p',
    statement: 's',
    parameterFormats: [0, 1],
    parameters: [Buffer.from('a'), null],
    resultFormats: [0, 1],
  }),
  Describe: write.describe('Statement', 's'),
  Execute: write.execute('p', 1),
  Close: write.close('Portal', 'p'),
  Sync: write.sync,
  Flush: write.flush,
  FunctionCall: write.functionCall({
    functionOid: 1,
    argumentFormats: [0],
    arguments: [Buffer.from('x'), null],
    resultFormat: 0,
  }),
  CopyData: write.copyData(Buffer.from('55\tx\n')),
  CopyDone: write.copyDone,
  CopyFail: write.copyFail('no'),
  Terminate: write.terminate,
};

describe('a client', () => {
  let lab: AttackLab;
  let before: unknown;
  beforeAll(async () => {
    lab = await AttackLab.start();
    before = await lab.state();
  }, 60_000);
  afterEach(() => lab.disconnect());
  afterAll(() => lab?.stop());

  /** Sends, ends the sending side, and waits for the connection's end. */
  async function last(attacker: Attacker, bytes: Buffer): Promise<Answer> {
    attacker.client.socket.end(bytes);
    return attacker.rest();
  }

  test.each(Object.keys(messages))(
    '%s cut at every byte, then closed',
    async (name) => {
      const message = messages[name]!;
      const prefix = /^Copy/.test(name) ? write.query('COPY plain FROM STDIN') : Buffer.alloc(0);
      const cuts = [...message.keys()];
      await Promise.all(
        cuts.map(async (cut) => {
          const attacker = await lab.attacker();
          const answer = await last(attacker, Buffer.concat([prefix, message.subarray(0, cut)]));
          expect(answer.types.replace(/[NS]/g, '')).toMatch(/^G?E?$/);
        }),
      );
      expect(await lab.state()).toEqual(before);
      expect((await (await lab.attacker()).query('SELECT 7')).rows).toEqual([['7']]);
    },
    60_000,
  );

  test.each(Object.keys(messages))(
    '%s with lengths that lie',
    async (name) => {
      const message = messages[name]!;
      const { length } = message;
      for (const lie of [
        -1,
        0,
        1,
        3,
        -0x80000000,
        0x7fffffff,
        0x3fffffff,
        length - 2,
        length,
        length + 3,
        length * 2,
      ]) {
        if (lie === length - 1) continue;
        const lying = Buffer.from(message);
        lying.writeInt32BE(lie, 1);
        const attacker = await lab.attacker();
        const prefix = /^Copy/.test(name) ? [write.query('COPY plain FROM STDIN')] : [];
        const answer = await last(attacker, Buffer.concat([...prefix, lying, write.sync]));
        expect(answer.tags).toEqual([]);
        const impossible = lie < 4 || lie > 0x3ffffffe;
        if (impossible) {
          const final = answer.errors.at(-1);
          expect([final?.get('S'), final?.get('C')]).toEqual(['FATAL', '08P01']);
        }
      }
      expect(await lab.state()).toEqual(before);
    },
    60_000,
  );

  test('types that no client sends', async () => {
    const known = new Set(Object.values(messages).map((message) => message[0]!));
    const at = (await violations(lab)).Client!;
    let tried = 0;
    for (let type = 0; type < 256; type += 1) {
      if (known.has(type)) continue;
      const attacker = await lab.attacker();
      const answer = await last(attacker, Buffer.from([type, 0, 0, 0, 4]));
      expect([type, answer.types, answer.sqlstate]).toEqual([type, 'E', '08P01']);
      tried += 1;
    }
    expect((await violations(lab)).Client).toBe(at + tried);
  }, 60_000);

  test('startup messages, and passwords, in the middle of a session', async () => {
    for (const bytes of [
      write.startupMessage(0, [['user', 'postgres']]),
      write.sslRequest(),
      write.cancelRequest(1, Buffer.alloc(4)),
      write.passwordMessage('x'),
      Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]),
    ]) {
      const attacker = await lab.attacker();
      const answer = await last(attacker, bytes);
      expect([answer.types, answer.sqlstate]).toEqual(['E', '08P01']);
    }
  });

  test('counts and offsets within a message that lie', async () => {
    const bodies: readonly (readonly [string, Buffer])[] = [
      ['Q', Buffer.from('SELECT 1')],
      ['Q', Buffer.from('SELECT 1\0DELETE FROM orders\0')],
      ['Q', Buffer.alloc(0)],
      ['P', Buffer.from('s\0SELECT 1\0\xff\xff', 'latin1')],
      ['P', Buffer.from('s\0SELECT 1\0\0\x01\0\0', 'latin1')],
      ['P', Buffer.from('s\0SELECT 1\0\0\0trailing', 'latin1')],
      ['P', Buffer.from('s')],
      ['B', Buffer.from('\0\0\xff\xff\0\0\0\0', 'latin1')],
      ['B', Buffer.from('\0\0\0\x01\0\x07\0\0\0\0', 'latin1')],
      ['B', Buffer.from('\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0', 'latin1')],
      ['B', Buffer.from('\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0', 'latin1')],
      ['B', Buffer.from('\0\0\0\0\x7f\xff', 'latin1')],
      ['B', Buffer.from('\0\0\0\0\0\0\0\x01', 'latin1')],
      ['D', Buffer.from('Xs\0')],
      ['D', Buffer.from('S')],
      ['C', Buffer.from('\0\0')],
      ['E', Buffer.from('\0')],
      ['E', Buffer.from('\0\0\0\0\0\0')],
      ['S', Buffer.from('x')],
      ['H', Buffer.from('x')],
      ['F', Buffer.from([0, 0, 0, 1, 0xff, 0xff])],
      ['f', Buffer.from('x')],
    ];
    for (const [type, body] of bodies) {
      const header = Buffer.alloc(5);
      header.write(type);
      header.writeInt32BE(body.length + 4, 1);
      const attacker = await lab.attacker();
      const answer = await last(attacker, Buffer.concat([header, body, write.sync]));
      const final = answer.errors.at(-1);
      expect([type, body.toString('latin1'), final?.get('S'), final?.get('C')]).toEqual([
        type,
        body.toString('latin1'),
        'FATAL',
        '08P01',
      ]);
    }
    expect(await lab.state()).toEqual(before);
  });

  test('byte by byte, and all at once, the same conversation', async () => {
    const conversation = [
      write.query('SELECT id, ssn FROM customers WHERE id > 9000'),
      ...extended('SELECT email, notes FROM customers WHERE id = $1', {
        parameters: ['9001'],
        describe: true,
      }),
      write.sync,
      write.query('DELETE FROM orders'),
      ...extended('DELETE FROM orders'),
      write.sync,
      write.query('COPY (SELECT ssn FROM customers WHERE id > 9000) TO STDOUT'),
      write.query('BEGIN'),
      ...extended('SELEC 1'),
      write.sync,
      write.query('ROLLBACK'),
      write.query('SELECT 7'),
    ];
    const bytes = Buffer.concat(conversation);
    const told = async (size: number): Promise<string[]> => {
      const attacker = await lab.attacker();
      for (let at = 0; at < bytes.length; at += size) {
        attacker.client.socket.write(bytes.subarray(at, at + size));
        if (size < 100) await new Promise(setImmediate);
      }
      let left = 9;
      const got = await attacker.client.until(({ type }) => type === 'Z' && (left -= 1) === 0);
      attacker.end();
      return got.map(describeMessage);
    };
    const whole = await told(bytes.length);
    expect(whole.length).toBeGreaterThan(20);
    for (const size of [1, 2, 3, 5, 7, 11, 64]) expect(await told(size)).toEqual(whole);
  }, 60_000);

  test('a client that sends without reading is not read without bound, and the others go on', async () => {
    const greedy = await lab.attacker();
    greedy.client.socket.pause();
    const ask = write.query('SELECT repeat($$x$$, 1000000)');
    for (let count = 0; count < 200; count += 1) greedy.client.socket.write(ask);
    const other = await lab.attacker();
    for (let count = 0; count < 20; count += 1) {
      expect((await other.query('SELECT 7')).rows).toEqual([['7']]);
    }
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(300 * 1024 * 1024);
    greedy.client.socket.destroy();
  }, 30_000);
});

/** Stands between the product and the server; at the marker it says something of its own instead. */
class Interloper {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  say: (toProxy: Socket, toServer: Socket, asked: Buffer) => void = () => {};

  constructor(serverPort: number) {
    this.#server = createServer((socket) => {
      const upstream = connect({ host: '127.0.0.1', port: serverPort, noDelay: true });
      let own = false;
      for (const one of [socket, upstream]) {
        this.#sockets.add(one);
        one.on('error', () => {});
        one.on('close', () => {
          socket.destroy();
          upstream.destroy();
        });
      }
      socket.on('data', (chunk) => {
        if (!own && chunk.includes('MARKER')) {
          own = true;
          this.say(socket, upstream, chunk);
        } else if (!own) upstream.write(chunk);
      });
      upstream.on('data', (chunk) => {
        if (!own && !socket.destroyed) socket.write(chunk);
      });
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as { port: number }).port;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

const raw = (type: string, body: Buffer | string = '', length?: number): Buffer => {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  const header = Buffer.alloc(5);
  header.write(type, 'latin1');
  header.writeInt32BE(length ?? bytes.length + 4, 1);
  return Buffer.concat([header, bytes]);
};

const column = (name: string, tableOid = 0, attribute = 0, typeOid = 25) => ({
  name,
  tableOid,
  attribute,
  typeOid,
  typeLength: -1,
  typeModifier: -1,
  format: 0 as const,
});
const described = server.rowDescription([column('s')]);
const value = (text: string) => server.dataRow([Buffer.from(text)]);
const garbage = 'GARBAGE-THAT-NOBODY-ASKED-FOR';
const ready = server.readyForQuery(0x49);

/** Behind a masked simple Query of one text column: none of it is what the protocol allows there. */
const hostile: Readonly<Record<string, Buffer>> = {
  'a row without a description': value(garbage),
  'a row of too many columns': Buffer.concat([
    described,
    server.dataRow([Buffer.from(garbage), Buffer.from(garbage)]),
  ]),
  'a row of no columns': Buffer.concat([described, server.dataRow([])]),
  'a row whose field is longer than it': Buffer.concat([
    described,
    raw('D', `\0\x01\x7f\xff\xff\xff${garbage}`),
  ]),
  'a row whose field has a negative length': Buffer.concat([
    described,
    raw('D', `\0\x01\xff\xff\xff\xf0${garbage}`),
  ]),
  'a row with bytes behind its fields': Buffer.concat([
    described,
    raw('D', `\0\x01\0\0\0\x01x${garbage}`),
  ]),
  'a row with no count': Buffer.concat([described, raw('D', '\0')]),
  'a negative length': raw('D', garbage, -1),
  'a length below four': raw('T', garbage, 3),
  'a length beyond the cap': raw('D', garbage, 0x7fffffff),
  'a control message of a gigabyte': raw('C', garbage, 0x3fffff00),
  'an error of a gigabyte': raw('E', `SERROR\0${garbage}`, 0x3fffff00),
  'a type that servers do not send': raw('?', garbage),
  'a type of clients': raw('Q', `${garbage}\0`),
  'an authentication request': raw('R', Buffer.from([0, 0, 0, 3])),
  'authentication done, once more': server.authenticationOk(),
  'another cancel key': server.backendKeyData(1, Buffer.alloc(4)),
  'a protocol negotiation': server.negotiateProtocolVersion(0, [garbage]),
  'COPY in both directions': raw('W', '\0\0\0'),
  'CopyData that no COPY announced': raw('d', garbage),
  'CopyDone that no COPY announced': Buffer.concat([
    server.copyDone,
    server.copyDone,
    raw('d', garbage),
  ]),
  ParseComplete: server.parseComplete,
  BindComplete: server.bindComplete,
  'a function’s result': raw('V', `\0\0\0\x1d${garbage}`),
  'parameter descriptions': server.parameterDescription([25]),
  'more completions than statements': Buffer.concat([
    described,
    server.commandComplete('SELECT 0'),
    server.commandComplete(garbage),
  ]),
  'a status that is none': Buffer.concat([
    described,
    server.commandComplete('SELECT 0'),
    raw('Z', '?'),
  ]),
  'a status of three bytes': Buffer.concat([
    described,
    server.commandComplete('SELECT 0'),
    raw('Z', 'III'),
  ]),
  'ready, and ready again': Buffer.concat([
    described,
    server.commandComplete('SELECT 0'),
    ready,
    ready,
  ]),
  'rows behind ready': Buffer.concat([
    described,
    server.commandComplete('SELECT 0'),
    ready,
    value(garbage),
  ]),
  'a description that is cut': raw('T', '\0\x01s\0\0\0'),
  'a description of 65535 columns, without them': raw('T', '\xff\xff'),
  'an error whose fields do not end': raw('E', `SERROR\0M${garbage}`),
  'a parameter that is cut': raw('S', garbage),
  'strings read in another way': server.parameterStatus('standard_conforming_strings', 'off'),
  'another encoding': server.parameterStatus('client_encoding', 'LATIN1'),
};

describe('a backend that turns hostile after login', () => {
  let lab: AttackLab;
  let interloper: Interloper;
  beforeAll(async () => {
    lab = await AttackLab.start({
      through: async (postgres) => {
        interloper = new Interloper(postgres.port);
        return interloper.listen();
      },
    });
  }, 60_000);
  afterEach(() => lab.disconnect());
  afterAll(async () => {
    await lab?.stop();
    interloper?.close();
  });

  const masked = "SELECT ssn AS s FROM customers WHERE name = 'MARKER'";

  /** What the client sees of it; then the proxy must still serve others. */
  async function suffer(say: Interloper['say'], ask: (a: Attacker) => void): Promise<Attacker> {
    interloper.say = say;
    const attacker = await lab.attacker();
    ask(attacker);
    return attacker;
  }
  async function serves(): Promise<void> {
    const other = await lab.attacker();
    expect((await other.query('SELECT 7')).rows).toEqual([['7']]);
    other.end();
  }

  test.each(Object.keys(hostile))(
    '%s',
    async (name) => {
      const at = (await violations(lab)).Backend!;
      for (const cut of [undefined, 1, 7]) {
        const attacker = await suffer(
          async (socket) => {
            const bytes = hostile[name]!;
            if (cut === undefined) socket.write(bytes);
            for (let from = 0; cut !== undefined && from < bytes.length; from += cut) {
              if (socket.destroyed) return;
              socket.write(bytes.subarray(from, from + cut));
              await new Promise(setImmediate);
            }
          },
          (one) => one.client.socket.write(write.query(masked)),
        );
        const answer = await attacker.rest();
        expect(answer.errors.at(-1)?.get('S')).toBe('FATAL');
        expect(attacker.seen.includes(garbage)).toBe(false);
        expect(attacker.seen.includes('GARB')).toBe(false);
      }
      const setting = name.startsWith('strings read') || name.startsWith('another enc');
      if (!setting) expect((await violations(lab)).Backend).toBe(at + 3);
      await serves();
    },
    30_000,
  );

  test('a description of other columns than the statement has is not delivered', async () => {
    const attacker = await suffer(
      (socket) =>
        socket.write(
          Buffer.concat([
            server.rowDescription([column('s'), column('t')]),
            server.dataRow([Buffer.from(garbage), Buffer.from(garbage)]),
            server.commandComplete('SELECT 1'),
            ready,
          ]),
        ),
      (one) => one.client.socket.write(write.query(masked)),
    );
    const answer = new Answer(await attacker.client.until(({ type }) => type === 'Z'));
    expect([answer.types, answer.sqlstate]).toEqual(['EZ', '42501']);
    expect(attacker.seen.includes('GARB')).toBe(false);
  });

  test('an answer to the extended protocol out of order', async () => {
    for (const bytes of [
      server.bindComplete,
      Buffer.concat([server.parseComplete, server.parseComplete]),
      Buffer.concat([
        server.parseComplete,
        server.bindComplete,
        server.rowDescription([column('s')]),
      ]),
      Buffer.concat([server.parseComplete, server.bindComplete, server.noData]),
      Buffer.concat([server.parseComplete, server.bindComplete, server.dataRow([])]),
      Buffer.concat([server.parseComplete, server.bindComplete, server.closeComplete]),
      Buffer.concat([server.parseComplete, ready]),
      Buffer.concat([server.parseComplete, server.bindComplete, raw('W', '\0\0\0')]),
    ]) {
      const attacker = await suffer(
        (socket) => socket.write(bytes),
        (one) => one.client.socket.write(Buffer.concat([...extended(masked), write.sync])),
      );
      const answer = await attacker.rest();
      expect(answer.errors.at(-1)?.get('S')).toBe('FATAL');
    }
    await serves();
  });

  test('an origin that the analysis did not see is not delivered', async () => {
    const [row] = await lab.behind(
      "SELECT attrelid::int, attnum::int FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attname = 'ssn'",
    );
    const [oid, attnum] = row as [number, number];
    const lying = Buffer.concat([
      server.rowDescription([column('s', oid, attnum)]),
      value(canaries.ssn),
      server.commandComplete('SELECT 1'),
      ready,
    ]);
    const attacker = await suffer(
      (socket) => socket.write(lying),
      (one) =>
        one.client.socket.write(
          write.query("SELECT name AS s FROM customers WHERE name = 'MARKER'"),
        ),
    );
    await attacker.client.until(({ type }) => type === 'Z');
    expect(leaks(attacker.seen)).toEqual([]);
  });

  test.each(['E', 'N'])(
    'a report (%s) without SQLSTATE, severity or sense carries nothing over',
    async (type) => {
      for (const fields of [
        '\0',
        `M${canaries.ssn}\0\0`,
        `SERROR\0C\0M${canaries.ssn}\0\0`,
        `S${canaries.ssn}\0V${canaries.ssn}\0C${canaries.ssn}\0M\0\0`,
        `C22P02\0t${canaries.ssn}\0c${canaries.ssn}\0n${canaries.ssn}\0s${canaries.ssn}\0d${canaries.ssn}\0D${canaries.ssn}\0R${canaries.ssn}\0P${canaries.ssn}\0\0`,
      ]) {
        const attacker = await suffer(
          (socket) =>
            socket.write(
              Buffer.concat(
                [raw(type, fields), server.commandComplete('SELECT 0'), ready]
                  .slice(0, type === 'E' ? 1 : 3)
                  .concat(type === 'E' ? [ready] : []),
              ),
            ),
          (one) => one.client.socket.write(write.query(masked)),
        );
        await attacker.client.until(({ type: kind }) => kind === 'Z' || kind === 'E');
        const text = attacker.seen.toString('latin1').replaceAll(/[tcnsd][^\0]*QZJX[^\0]*/g, '');
        expect(leaks(text.includes('QZJX') ? text : '')).toEqual([]);
        attacker.end();
      }
      await serves();
    },
  );

  test.each<[string, Buffer[]]>([
    ['at once', []],
    ['within a header', [Buffer.from('D\0')]],
    ['within a row', [described, raw('D', garbage, 5000)]],
    ['behind the description', [described]],
    ['behind a row', [described, value('123456789')]],
    ['before it is ready', [described, server.commandComplete('SELECT 0')]],
    ['in the middle of COPY', [server.copyOutResponse(0, [0])]],
  ])('it vanishes %s', async (_, bytes) => {
    for (const leave of ['end', 'destroy'] as const) {
      const attacker = await suffer(
        (socket) => {
          if (bytes.length > 0) socket.write(Buffer.concat(bytes));
          setImmediate(() => (leave === 'end' ? socket.end() : socket.resetAndDestroy()));
        },
        (one) => one.client.socket.write(write.query(masked)),
      );
      await attacker.rest();
      expect(attacker.seen.includes('GARB')).toBe(false);
    }
    await serves();
  });

  test('notices, parameters and rows without end are not gathered', async () => {
    const notice = server.noticeResponse(
      new Map([
        ['S', 'NOTICE'],
        ['V', 'NOTICE'],
        ['C', '00000'],
        ['M', garbage.repeat(100)],
      ]),
    );
    const flood = Buffer.concat(Array.from({ length: 200 }, () => notice));
    let sent = 0;
    const attacker = await suffer(
      (socket) => {
        const more = (): void => {
          if (socket.destroyed || sent > 50) {
            if (!socket.destroyed) socket.end();
            return;
          }
          sent += 1;
          if (socket.write(flood)) setImmediate(more);
          else socket.once('drain', more);
        };
        more();
      },
      (one) => one.client.socket.write(write.query(masked)),
    );
    await attacker.rest();
    expect(attacker.seen.includes('GARB')).toBe(false);
    await serves();
  });
});
