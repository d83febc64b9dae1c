/** Free ports on loopback. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { EmbeddedError } from './embedded-error.js';

const PORT_MIN = 20_000;
const PORT_MAX = 32_000;
const ATTEMPTS = 200;

/** Says whether 127.0.0.1:`port` can be listened on at this moment. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

/**
 * Chooses a port that is free at this moment, other than those in `taken`.
 *
 * *Why not port 0*: the system answers from the range that outgoing connections use, so while a
 * crashed node is down any client on the machine may take its port, and the restart fails.
 *
 * @throws {EmbeddedError} PORT_TAKEN when none is found
 */
export async function chooseFreePort(taken: ReadonlySet<number>): Promise<number> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const port = randomInt(PORT_MIN, PORT_MAX);
    if (!taken.has(port) && (await isPortFree(port))) {
      return port;
    }
  }
  throw new EmbeddedError('PORT_TAKEN', `no free port between ${PORT_MIN} and ${PORT_MAX}`);
}
