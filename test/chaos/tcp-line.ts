/** A line from one server to one node, which can fall silent, or be reset, and comes back. */

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A proxy on a free port of 127.0.0.1. */
export class TcpLine {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isSilent = false;

  constructor(targetPort: number) {
    this.#server = createServer((caller) => {
      const target = connect(targetPort, '127.0.0.1');
      this.#join(caller, target);
      this.#join(target, caller);
    });
  }

  /** Forwards; who sends faster than the other reads is held back. */
  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on('data', (bytes: Buffer) => {
      if (to.write(bytes) || this.#isSilent) return;
      from.pause();
      to.once('drain', () => {
        if (!this.#isSilent) from.resume();
      });
    });
    from.on('error', () => to.destroy());
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    if (this.#isSilent) from.pause();
  }

  async open(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** A black hole: connections are accepted, nothing is forwarded, not even an end. */
  silence(isSilent: boolean): void {
    this.#isSilent = isSilent;
    for (const socket of this.#sockets) {
      if (isSilent) socket.pause();
      else socket.resume();
    }
  }

  /** Ends every connection at both of its ends. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
