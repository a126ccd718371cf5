/** Runs within a network namespace: servers that answer with the address they were reached at, and names. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { database, databaseName, databasePort, elsewhere, otherPort } from './networks.ts';

const where = process.argv[2];
if (where === 'pod') {
  await listen('127.0.1.1', databasePort);
  await listen('::1', databasePort);
} else {
  for (const address of [database.v4, database.v6, elsewhere.v4, elsewhere.v6]) {
    for (const port of [databasePort, otherPort]) {
      await listen(address, port);
      await answerDatagrams(address, port);
    }
  }
  await answerNames(elsewhere.v4);
}
process.stdout.write('ready\n');

async function listen(host: string, port: number): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write(`answered by ${host}\n`);
    socket.pipe(socket);
  });
  server.listen({ host, port, ipv6Only: true });
  await once(server, 'listening');
}

async function answerDatagrams(host: string, port: number): Promise<void> {
  const socket = createSocket({
    type: host.includes(':') ? 'udp6' : 'udp4',
    ipv6Only: host.includes(':'),
  });
  socket.on('message', (_message, { address, port: from }) => {
    socket.send(`answered by ${host}`, from, address);
  });
  socket.bind(port, host);
  await once(socket, 'listening');
}

/** Enough of DNS (RFC 1035): one question, A and AAAA of one name; NXDOMAIN for every other. */
async function answerNames(host: string): Promise<void> {
  const records: Readonly<Record<number, Buffer>> = {
    1: Buffer.from(database.v4.split('.').map(Number)),
    28: Buffer.from('fd000077000000000000000000000002', 'hex'),
  };
  const socket = createSocket('udp4');
  socket.on('message', (query, { address, port }) => {
    const end = query.indexOf(0, 12) + 5;
    const labels: string[] = [];
    for (let at = 12; query[at] !== 0; at += 1 + query[at]!) {
      labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!));
    }
    const data = records[query.readUInt16BE(end - 4)];
    const known = labels.join('.').toLowerCase() === databaseName;
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(known ? 0x8180 : 0x8183, 2);
    header.writeUInt16BE(known && data ? 1 : 0, 6);
    header.fill(0, 8);
    const answer: Uint8Array[] = [header, query.subarray(12, end)];
    if (known && data) {
      const record = Buffer.alloc(12);
      record.writeUInt16BE(0xc00c, 0);
      query.copy(record, 2, end - 4, end);
      record.writeUInt32BE(5, 6);
      record.writeUInt16BE(data.length, 10);
      answer.push(record, data);
    }
    socket.send(Buffer.concat(answer), port, address);
  });
  socket.bind(53, host);
  await once(socket, 'listening');
}
