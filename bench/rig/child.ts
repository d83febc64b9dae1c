/** A measured process: started, asked what it uses, ended. */

import { type ChildProcess, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { until } from '../../src/lib/wait.js';

const STOP_TIMEOUT_MS = 15_000;
const START_TIMEOUT_MS = 30_000;
/** What is kept of a child's output, to say why it ended. */
const OUTPUT_CHARACTERS_MAX = 4_000;

const meter = fileURLToPath(new URL('./meter.js', import.meta.url));

/** What a process has used since its start. */
export interface Usage {
  /** User and system time, microseconds. */
  readonly cpuUs: number;
  readonly rssBytes: number;
  /** Highest of its life. */
  readonly rssPeakBytes: number;
}

/** How to start a child. */
export interface ChildOptions {
  /** In messages of errors. */
  readonly name: string;
  /** Arguments of node: the file and its own. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Folder for a CPU profile, written when the child ends. */
  readonly profile?: string | undefined;
  /** A module that is loaded before the child's own. */
  readonly preload?: URL | undefined;
  /** Told what the child sends, of all kinds. */
  readonly onMessage?: ((message: unknown) => void) | undefined;
}

/** A running child. */
export class MeasuredChild {
  readonly #child: ChildProcess;
  readonly #name: string;
  #output = '';

  constructor(options: ChildOptions) {
    const { name, args, env, profile, preload, onMessage } = options;
    const profiling = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
    const imports = ['--import', meter, ...(preload ? ['--import', preload.href] : [])];
    this.#name = name;
    this.#child = spawn(process.execPath, [...profiling, ...imports, ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    if (onMessage !== undefined) this.#child.on('message', onMessage);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
      });
    }
  }

  /** Waits until `isReady`, at most 30 s. @throws {Error} with its output if it ends before */
  async whenReady(isReady: () => boolean | Promise<boolean>): Promise<void> {
    const check = () => {
      if (this.#hasEnded()) throw new Error(`${this.#name} ended: ${this.#output}`);
      return isReady();
    };
    const what = `${this.#name} is ready`;
    await until(check, { timeoutMs: START_TIMEOUT_MS, pollMs: 25, what });
  }

  /** The first message that the child sends by itself, at most 30 s after. */
  async firstMessage(): Promise<unknown> {
    let first: { readonly message: unknown } | undefined;
    this.#child.once('message', (message) => {
      first = { message };
    });
    await this.whenReady(() => first !== undefined);
    return first?.message;
  }

  async usage(): Promise<Usage> {
    const messages = on(this.#child, 'message', { close: ['exit'] });
    this.#child.send('usage');
    for await (const [message] of messages) {
      if ((message as Partial<Usage>).cpuUs !== undefined) return message as Usage;
    }
    throw new Error(`${this.#name} ended: ${this.#output}`);
  }

  /** Asks the child to end; kills it after 15 s. */
  async stop(): Promise<void> {
    if (this.#hasEnded()) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  }

  #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}
