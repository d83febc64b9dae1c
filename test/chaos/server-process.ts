/** One server of a run: started, killed, stopped in order, asked how it is. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { until } from '../../src/lib/wait.js';
import { freePort } from '../support/free-port.js';
import type { ServerState } from './server-child.js';

const program = fileURLToPath(new URL('./server-child.ts', import.meta.url));

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;
const ANSWER_TIMEOUT_MS = 10_000;

/** Under which settings a server runs; small budgets, so that lines form. */
const SETTINGS = {
  POSTGRES_MAX_CONN: '12',
  STOWAGE_QUEUE_MAX: '50',
  STOWAGE_STREAM_IDLE_TIMEOUT_MS: '2000',
  STOWAGE_SHUTDOWN_GRACE_MS: '2000',
  STOWAGE_LOG_LEVEL: 'warn',
} as const;

/** Callers that may wait in all lines of a node: those of both classes. */
export const WAITING_MAX = 2 * Number(SETTINGS.STOWAGE_QUEUE_MAX);

/** How a server is started. */
export interface ServerOptions {
  readonly name: string;
  readonly databaseUrl: string;
  /** Takes what it logs. */
  readonly logFile: string;
  readonly mutant: string | undefined;
}

/** One server, at the same address after every start. */
export class ServerProcess {
  readonly #options: ServerOptions;
  readonly #log: WriteStream;
  #port = 0;
  #httpPort = 0;
  #child: ChildProcess | undefined;
  #isReady = false;
  /** When it was last whole again; Infinity while it is not. */
  #downUntilMs = Number.POSITIVE_INFINITY;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#log = createWriteStream(options.logFile, { flags: 'a' });
  }

  get name(): string {
    return this.#options.name;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Of its pages. */
  get httpUrl(): string {
    return `http://127.0.0.1:${this.#httpPort}`;
  }

  /** Whether it was not there, or not for long, at any time since. */
  isDownSince(ms: number): boolean {
    return this.#downUntilMs >= ms;
  }

  async start(): Promise<void> {
    this.#port ||= await freePort();
    this.#httpPort ||= await freePort();
    const { databaseUrl, mutant } = this.#options;
    const args = ['--import', 'tsx', program, ...(mutant === undefined ? [] : [mutant])];
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: {
        ...process.env,
        ...SETTINGS,
        DATABASE_URL: databaseUrl,
        STOWAGE_GRPC_ADDRESS: this.address,
        STOWAGE_HTTP_ADDRESS: `127.0.0.1:${this.#httpPort}`,
      },
    });
    this.#child = child;
    child.stdout?.pipe(this.#log, { end: false });
    child.stderr?.pipe(this.#log, { end: false });
    this.#isReady = false;
    child.once('message', () => {
      this.#isReady = true;
    });
    const check = () => {
      if (!this.isRunning) throw new Error(`${this.name} ended; see ${this.#options.logFile}`);
      return this.#isReady;
    };
    await until(check, { timeoutMs: START_TIMEOUT_MS, what: `${this.name} is ready` });
    // Callers come back with a backoff of their own.
    this.#downUntilMs = performance.now() + 1_000;
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child !== undefined && !hasEnded(child);
  }

  /** Ends it as a power cut would, or in order. */
  async stop(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.isRunning) return;
    this.#downUntilMs = Number.POSITIVE_INFINITY;
    this.#isReady = false;
    const ended = once(child, 'exit');
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  }

  /** How it is; undefined while it does not serve. @throws {Error} when it does not answer */
  async state(): Promise<ServerState | undefined> {
    const child = this.#child;
    if (child === undefined || !this.isRunning || !this.#isReady) return undefined;
    let state: ServerState | undefined;
    child.once('message', (message) => {
      state = message as ServerState;
    });
    child.send('state', () => undefined);
    const isOver = () => state !== undefined || hasEnded(child);
    await until(isOver, { timeoutMs: ANSWER_TIMEOUT_MS, what: `${this.name} says how it is` });
    return state;
  }

  close(): void {
    this.#log.end();
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
