/** `stowage serve` as a child process that a test may kill, and start again at the same ports. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { until } from '../../src/lib/wait.js';
import { freePort } from './free-port.js';
import { mainFile } from './program.js';

/** A server that runs, or ran, on a database. */
export interface ServeChild extends AsyncDisposable {
  /** `127.0.0.1:port` of the gRPC door, the same after every start. */
  readonly grpc: string;
  /** `127.0.0.1:port` of the HTTP door, likewise. */
  readonly http: string;
  /** Starts it again after a kill, and waits until it is ready. */
  start(): Promise<void>;
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
  /** Has it read its settings again. */
  hangUp(): void;
  /** What it has printed and logged since its start, the last million characters. */
  said(): string;
}

/**
 * Starts a server on a migrated database.
 * @param environment further settings
 */
export async function startServe(
  databaseUrl: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<ServeChild> {
  const grpc = `127.0.0.1:${await freePort()}`;
  const http = `127.0.0.1:${await freePort()}`;
  let child: ChildProcess | undefined;
  let output = '';

  const isReady = async (): Promise<boolean> => {
    if (child?.exitCode !== null) throw new Error(`the server ended: ${output}`);
    const answer = await fetch(`http://${http}/readyz`).catch(() => undefined);
    return answer?.ok ?? false;
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  };
  const start = async (): Promise<void> => {
    output = '';
    child = spawn(process.execPath, [mainFile, 'serve'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        DATABASE_URL: databaseUrl,
        STOWAGE_GRPC_ADDRESS: grpc,
        STOWAGE_HTTP_ADDRESS: http,
        ...environment,
      },
    });
    const collect = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-1_000_000);
    };
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    await until(isReady, { timeoutMs: 30_000, pollMs: 50, what: 'the server is ready' }).catch(
      async (error: unknown) => {
        await end('SIGKILL');
        throw new Error(`${String(error)}: ${output}`);
      },
    );
  };
  await start();
  return {
    grpc,
    http,
    start,
    kill: () => end('SIGKILL'),
    hangUp: () => void child?.kill('SIGHUP'),
    said: () => output,
    [Symbol.asyncDispose]: () => end('SIGTERM'),
  };
}
