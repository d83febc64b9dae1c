/** The built server, as an operator runs it, in a process of its own. */

import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type ChildOptions, MeasuredChild } from './child.js';
import type { BenchDatabase } from './database.js';

const mainFile = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));

/** A running server. */
export interface BenchServer {
  readonly child: MeasuredChild;
  /** `127.0.0.1:port` of the gRPC door. */
  readonly grpc: string;
  /** `127.0.0.1:port` of the Connect door. */
  readonly http: string;
}

/** What differs from the usual server. */
export interface BenchServerOptions extends Pick<ChildOptions, 'preload' | 'onMessage'> {
  /** Where the nodes are; default: all of the database's. */
  readonly serviceUrl?: string;
  /** Laid over the usual settings. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts `stowage serve` and waits until it is ready. */
export async function startServer(
  database: BenchDatabase,
  profile: string | undefined,
  options: BenchServerOptions = {},
): Promise<BenchServer> {
  const { serviceUrl = database.serviceUrl, settings = {}, ...rest } = options;
  const grpc = `127.0.0.1:${await freePort()}`;
  const http = `127.0.0.1:${await freePort()}`;
  const child = new MeasuredChild({
    name: 'the server',
    args: [mainFile, 'serve'],
    profile,
    ...rest,
    env: {
      DATABASE_URL: serviceUrl,
      STOWAGE_GRPC_ADDRESS: grpc,
      STOWAGE_HTTP_ADDRESS: http,
      STOWAGE_LOG_LEVEL: 'warn',
      ...settings,
    },
  });
  try {
    await child.whenReady(() =>
      fetch(`http://${http}/readyz`).then(
        (response) => response.ok,
        () => false,
      ),
    );
  } catch (error) {
    await child.stop();
    throw error;
  }
  return { child, grpc, http };
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
