/**
 * The first word with a node: a TCP connection and the question for TLS, which every PostgreSQL
 * answers with one letter before it wants to know who asks. Sends no name and no password.
 */

import { connect, type Socket } from 'node:net';
import type { NodeAddress } from '../driver.js';

/** Length 8 and the request code 80877103. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** What came of it. */
export type Contact =
  | {
      readonly kind: 'answered';
      readonly offersTls: boolean;
      /** This machine's address on the way there; undefined for a socket in a folder. */
      readonly localAddress: string | undefined;
      readonly roundTripMs: number;
    }
  /** Connected, but what answered is no PostgreSQL, or ended the connection. */
  | { readonly kind: 'foreign' }
  /** Connected, and then nothing. */
  | { readonly kind: 'silent' }
  /** Not even connected. */
  | { readonly kind: 'timeout' }
  /** Not connected, with the code of the operating system. */
  | { readonly kind: 'unreachable'; readonly code: string };

/** Asks a node; each of the two steps within `timeoutMs`. Never throws. */
export function contactNode(node: NodeAddress, timeoutMs: number): Promise<Contact> {
  return new Promise((resolve) => {
    let askedAtMs: number | undefined;
    const socket = openSocket(node);
    const settle = (contact: Contact): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(contact);
    };
    const onTimeout = (): void => {
      settle({ kind: askedAtMs === undefined ? 'timeout' : 'silent' });
    };
    let timer = setTimeout(onTimeout, timeoutMs);
    socket.once('connect', () => {
      askedAtMs = performance.now();
      clearTimeout(timer);
      timer = setTimeout(onTimeout, timeoutMs);
      socket.write(SSL_REQUEST);
    });
    socket.once('data', (data: Buffer) => {
      const letter = String.fromCharCode(data[0] ?? 0);
      if (!'SNE'.includes(letter)) return settle({ kind: 'foreign' });
      settle({
        kind: 'answered',
        offersTls: letter === 'S',
        localAddress: socket.localAddress,
        roundTripMs: performance.now() - (askedAtMs ?? 0),
      });
    });
    socket.once('close', () => settle({ kind: 'foreign' }));
    socket.on('error', (error) => {
      if (askedAtMs !== undefined) return settle({ kind: 'foreign' });
      settle({ kind: 'unreachable', code: codeOf(error) });
    });
  });
}

function openSocket({ host, port }: NodeAddress): Socket {
  return host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect({ host, port });
}

/** A host of several addresses, none of which answered, gives one error for all of them. */
function codeOf(error: Error): string {
  const first = error instanceof AggregateError ? (error.errors[0] as Error) : error;
  return 'code' in first ? String(first.code) : 'unknown';
}
