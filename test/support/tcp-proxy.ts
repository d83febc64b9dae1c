/** A line to a server that counts what passes it, and fails in each of the ways that lines have. */
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
  /** Ends every connection, and each that comes, until `restore`. */
  refuse(): void;
  /**
   * Takes every connection and forwards nothing, without an end of any, until `restore`: what was
   * sent meanwhile arrives then, as it does behind a switch that stood still.
   */
  blackhole(): void;
  /** Forwards again. */
  restore(): void;
  /** Ends every connection at once, as a firewall does; those that come are served. */
  reset(): void;
  /** Leads connections that come from here on to another server; open ones stay where they are. */
  retarget(target: string): void;
}

/** Opens a proxy to `target`, a URL. */
export async function openProxy(target: string): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const attempts: number[] = [];
  let upstream = new URL(target);
  let bytes = 0;
  let mode: 'forwarding' | 'refusing' | 'silent' = 'forwarding';
  const server = createServer((caller) => {
    attempts.push(performance.now());
    if (mode === 'refusing') {
      caller.destroy();
      return;
    }
    const line = connect(Number(upstream.port), upstream.hostname);
    for (const [from, to] of [
      [caller, line],
      [line, caller],
    ] as const) {
      sockets.add(from);
      from.on('data', (data: Buffer) => {
        bytes += data.length;
        if (to.write(data)) return;
        // A reader that stands still holds the writer back, as on a real line.
        from.pause();
        to.once('drain', () => {
          if (mode !== 'silent') from.resume();
        });
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      if (mode === 'silent') from.pause();
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
    refuse: () => {
      mode = 'refusing';
      end();
    },
    blackhole: () => {
      mode = 'silent';
      for (const socket of sockets) socket.pause();
    },
    restore: () => {
      mode = 'forwarding';
      for (const socket of sockets) socket.resume();
    },
    reset: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    retarget: (other) => {
      upstream = new URL(other);
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      end();
    },
  };
}
