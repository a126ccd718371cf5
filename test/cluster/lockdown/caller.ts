/** Runs within the pod's network namespace: tries one connection and prints what came of it. */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { become: { type: 'string' } },
});
const [kind, host = '', port = '0'] = positionals;

try {
  if (values.become !== undefined) process.setuid!(Number(values.become));
  if (kind === 'udp') sendDatagram();
  else open(kind === 'hold');
} catch (error) {
  tell((error as NodeJS.ErrnoException).code ?? String(error));
}

function tell(outcome: string): void {
  process.stdout.write(`${outcome}\n`);
}

function open(hold: boolean): void {
  const socket = connect({ host, port: Number(port) });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    tell(error.code ?? error.message);
    process.exit();
  });
  const lines = createInterface({ input: socket });
  lines.once('line', (line) => {
    tell(hold ? 'open' : line);
    if (!hold) return void socket.destroy();
    lines.on('line', tell);
    process.stdin.pipe(socket);
  });
}

function sendDatagram(): void {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const done = (outcome: string): void => {
    tell(outcome);
    socket.close();
  };
  socket.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
  socket.once('message', (message) => done(message.toString()));
  // Connected, so that the kernel hands us the refusal.
  socket.connect(Number(port), host, () =>
    socket.send(
      'ping',
      (error) => error && done((error as NodeJS.ErrnoException).code ?? error.message),
    ),
  );
}
