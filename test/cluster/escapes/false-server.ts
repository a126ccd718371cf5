/**
 * A name server that tells the truth about Chaperone and says of everything else that it is at its own address,
 * where a server asks whoever comes for the password's MD5, without TLS, and prints what it is sent.
 * `truth`: addresses of Services of Chaperone's, by name.
 */
export const falseServer = (truth: Readonly<Record<string, string>>): string => `
const dgram = require('node:dgram');
const { createServer } = require('node:net');
const { networkInterfaces } = require('node:os');
const own = Object.values(networkInterfaces()).flat().find(({ internal, family }) => !internal && family === 'IPv4').address;
const bytes = (address) => Buffer.from(address.split('.').map(Number));
const names = dgram.createSocket('udp4', (question, from) => {
  let end = 12;
  const labels = [];
  while (question[end] !== 0) {
    labels.push(question.toString('latin1', end + 1, end + 1 + question[end]));
    end += 1 + question[end];
  }
  const asked = question.subarray(12, end + 5);
  const known = question.readUInt16BE(end + 1) === 1 && labels.length === 5;
  const header = Buffer.from([question[0], question[1], 0x81, 0x80, 0, 1, 0, known ? 1 : 0, 0, 0, 0, 0]);
  const address = ${JSON.stringify(truth)}[labels[0]] ?? own;
  const record = Buffer.concat([Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]), bytes(address)]);
  console.log('asked for ' + labels.join('.'));
  names.send(Buffer.concat(known ? [header, asked, record] : [header, asked]), from.port, from.address);
});
names.bind(53, own);
createServer((socket) => {
  socket.on('error', () => {});
  socket.on('data', (data) => {
    if (data.length === 8 && data.readInt32BE(4) === 80877103) return socket.write('N');
    console.log('was sent ' + data.toString('latin1').replace(/[^ -~]+/g, ' '));
    if (data[0] === 0) return socket.write(Buffer.from([0x52, 0, 0, 0, 12, 0, 0, 0, 5, 1, 2, 3, 4]));
    socket.end();
  });
}).listen(5432, own, () => console.log('listening'));
`;
