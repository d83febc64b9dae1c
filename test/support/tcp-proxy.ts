/** A line to a server that counts what passes it, and can be cut. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A running proxy. */
export interface TcpProxy extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly address: string;
  /** Bytes in both directions so far. */
  readonly bytes: number;
  /** When connections were asked for, on the clock of `performance.now()`. */
  readonly attempts: readonly number[];
  /** Ends every connection, and each that comes, until it is told otherwise. */
  refuse(isRefusing: boolean): void;
}

/** Opens a proxy to `target`, a URL. */
export async function openProxy(target: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const attempts: number[] = [];
  let bytes = 0;
  let isRefusing = false;
  const server = createServer((caller) => {
    attempts.push(performance.now());
    if (isRefusing) {
      caller.destroy();
      return;
    }
    const line = connect(Number(port), hostname);
    for (const [from, to] of [
      [caller, line],
      [line, caller],
    ] as const) {
      sockets.add(from);
      from.on('data', (data: Buffer) => {
        bytes += data.length;
        to.write(data);
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const end = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get bytes() {
      return bytes;
    },
    attempts,
    refuse: (isToRefuse) => {
      isRefusing = isToRefuse;
      if (isToRefuse) end();
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      end();
    },
  };
}
