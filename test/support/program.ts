/** The program as a child process, as a user runs it. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeCluster } from '../../src/embedded/index.js';
import { until } from '../../src/lib/wait.js';
import { freePort } from './free-port.js';
import { quickFolder } from './quick-folder.js';

const root = join(import.meta.dirname, '..', '..');

/** The program's entry in the build. */
export const mainFile = join(root, 'dist', 'src', 'main.js');

/** Compiles the program; cheap when nothing changed. Tests find it built, by `build-setup.ts`. */
export async function buildProgram(): Promise<void> {
  await promisify(execFile)('npm', ['run', 'build'], { cwd: root });
}

/** A running `stowage dev`. */
export interface DevServer extends AsyncDisposable {
  readonly process: ChildProcess;
  /** `127.0.0.1:port` of the gRPC door. */
  readonly grpc: string;
  /** `127.0.0.1:port` of the HTTP door. */
  readonly http: string;
  readonly dataDirectory: string;
  /** What the program has printed so far. */
  output(): string;
}

/** Where a server is to be started: what is left out is made anew. */
export type DevPlace = Pick<DevServer, 'grpc' | 'http' | 'dataDirectory'>;

/** How Node runs the program from its sources, where no build may be written or read. */
export const fromSources = ['--import', 'tsx', join(root, 'src', 'main.ts')] as const;

/** Starts `stowage dev` with one standby, and resolves once it is ready. */
export async function startDev(
  place?: Partial<DevPlace>,
  program: readonly string[] = [mainFile],
): Promise<DevServer> {
  const dataDirectory =
    place?.dataDirectory ?? (await mkdtemp(join(quickFolder(), 'stowage-dev-')));
  const grpc = place?.grpc ?? `127.0.0.1:${await freePort()}`;
  const http = place?.http ?? `127.0.0.1:${await freePort()}`;
  const child = spawn(process.execPath, [...program, 'dev'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      STOWAGE_GRPC_ADDRESS: grpc,
      STOWAGE_HTTP_ADDRESS: http,
      STOWAGE_DATA_DIR: dataDirectory,
      STOWAGE_STANDBYS: '1',
    },
  });
  let output = '';
  const collect = (chunk: Buffer) => {
    output += chunk.toString();
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const isReady = async () => {
    if (child.exitCode !== null) throw new Error(`stowage dev ended: ${output}`);
    return fetch(`http://${http}/readyz`).then(
      (response) => response.ok,
      () => false,
    );
  };
  const end = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
  };
  const stop = async () => {
    await end();
    await removeCluster(dataDirectory);
    await rm(dataDirectory, { recursive: true, force: true });
  };
  try {
    await until(isReady, { timeoutMs: 60_000, what: 'stowage dev is ready', pollMs: 50 });
  } catch (error) {
    // Data that was there before belongs to whoever named it.
    await (place?.dataDirectory === undefined ? stop() : end());
    throw error;
  }
  const server = { process: child, grpc, http, dataDirectory, output: () => output };
  return { ...server, [Symbol.asyncDispose]: stop };
}
