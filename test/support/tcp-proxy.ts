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
  const proxy = new ForwardingProxy(target);
  await proxy.listen();
  return proxy;
}

class ForwardingProxy implements TcpProxy {
  readonly attempts: number[] = [];
  bytes = 0;
  readonly #server = createServer((caller) => this.#take(caller));
  readonly #sockets = new Set<Socket>();
  #upstream: URL;
  #mode: 'forwarding' | 'refusing' | 'silent' = 'forwarding';

  constructor(target: string) {
    this.#upstream = new URL(target);
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #take(caller: Socket): void {
    this.attempts.push(performance.now());
    if (this.#mode === 'refusing') {
      caller.destroy();
      return;
    }
    const line = connect(Number(this.#upstream.port), this.#upstream.hostname);
    this.#forward(caller, line);
    this.#forward(line, caller);
  }

  #forward(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on('data', (data: Buffer) => {
      this.bytes += data.length;
      if (to.write(data)) return;
      // A reader that stands still holds the writer back, as on a real line.
      from.pause();
      to.once('drain', () => {
        if (this.#mode !== 'silent') from.resume();
      });
    });
    from.on('error', () => to.destroy());
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    if (this.#mode === 'silent') from.pause();
  }

  refuse(): void {
    this.#mode = 'refusing';
    this.#end();
  }

  blackhole(): void {
    this.#mode = 'silent';
    for (const socket of this.#sockets) socket.pause();
  }

  restore(): void {
    this.#mode = 'forwarding';
    for (const socket of this.#sockets) socket.resume();
  }

  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  retarget(target: string): void {
    this.#upstream = new URL(target);
  }

  #end(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#end();
  }
}
