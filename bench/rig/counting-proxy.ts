/**
 * A line to a node that counts the round trips on it: what PostgreSQL answers ends each time with
 * ReadyForQuery. Counted here and not in `pg_stat_statements`, for a statement is no round trip.
 */

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Type and length stand before each message of a server. */
const HEADER_BYTES = 5;
const READY_FOR_QUERY = 'Z'.charCodeAt(0);

/** Counts messages in the bytes of one connection, however they are cut. */
export class ReadyCounter {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #toSkip = 0;
  #count = 0;

  /** ReadyForQuery messages whose header has been seen. */
  get count(): number {
    return this.#count;
  }

  take(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#toSkip > 0) {
        const skipped = Math.min(this.#toSkip, chunk.length - at);
        this.#toSkip -= skipped;
        at += skipped;
      } else {
        this.#header[this.#headerBytes] = chunk[at] ?? 0;
        this.#headerBytes += 1;
        at += 1;
        if (this.#headerBytes === HEADER_BYTES) this.#endHeader();
      }
    }
  }

  #endHeader(): void {
    this.#headerBytes = 0;
    // The length counts itself and not the type.
    this.#toSkip = this.#header.readUInt32BE(1) - 4;
    if (this.#header[0] === READY_FOR_QUERY) this.#count += 1;
  }
}

/** A running proxy. */
export interface CountingProxy {
  readonly port: number;
  /** Round trips on all of its connections so far. */
  readonly roundTrips: number;
  close(): Promise<void>;
}

/** Opens a proxy to a port of this machine, for connections without TLS. */
export async function openCountingProxy(targetPort: number): Promise<CountingProxy> {
  const sockets = new Set<Socket>();
  const counters: ReadyCounter[] = [];
  const server = createServer({ noDelay: true }, (caller) => {
    const counter = new ReadyCounter();
    counters.push(counter);
    const line = connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    line.on('data', (data) => counter.take(data));
    for (const [from, to] of [
      [caller, line],
      [line, caller],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => sockets.delete(from));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get roundTrips() {
      return counters.reduce((sum, { count }) => sum + count, 0);
    },
    close: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
