/**
 * One PostgreSQL server process, known by its data folder: start it, see that it is ready, stop it.
 * The truth about which process serves a folder is PostgreSQL's own `postmaster.pid`, checked
 * against the command line of that process, because after a crash the pid may be somebody else's.
 * The guardian uses the stopping half, so this file knows nothing of clusters.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { open, readFile, rm } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../lib/wait.js';
import type { Account } from './account.js';
import { isSystemError } from './embedded-error.js';
import { isAlive, listChildren, readCommandLine } from './process-table.js';

/** Milliseconds that each way of stopping gets before the next, harsher one. */
const FAST_STOP_TIMEOUT_MS = 10_000;
const IMMEDIATE_STOP_TIMEOUT_MS = 3_000;
const KILL_TIMEOUT_MS = 5_000;

type StopSignal = 'SIGINT' | 'SIGQUIT' | 'SIGKILL' | 'SIGSTOP' | 'SIGCONT';

/** What a server says about itself in `postmaster.pid`. */
export interface PostmasterFile {
  readonly pid: number;
  /** True once the server accepts connections, on a standby too. */
  readonly isReady: boolean;
}

/** Reads `postmaster.pid` of a data folder; undefined where there is none. */
export async function readPostmasterFile(folder: string): Promise<PostmasterFile | undefined> {
  let text: string;
  try {
    text = await readFile(join(folder, 'postmaster.pid'), 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) {
      return undefined;
    }
    throw error;
  }
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  return Number.isInteger(pid) && pid > 0
    ? { pid, isReady: lines[7]?.trim() === 'ready' }
    : undefined;
}

/** What a start needs. */
export interface PostmasterStart {
  readonly postgres: string;
  readonly folder: string;
  readonly port: number;
  readonly logFile: string;
  readonly account: Account | undefined;
}

/**
 * Spawns the server of a data folder in a session of its own: Ctrl-C reaches only this process,
 * which then stops the server in order. It does not keep this process alive.
 */
export async function spawnPostmaster(start: PostmasterStart): Promise<ChildProcess> {
  const log = await open(start.logFile, 'a', 0o600);
  try {
    const child = spawn(start.postgres, ['-D', start.folder, '-p', String(start.port)], {
      cwd: parse(start.folder).root,
      detached: true,
      windowsHide: true,
      stdio: ['ignore', log.fd, log.fd],
      ...toolEnvironment(),
      ...(start.account !== undefined && { uid: start.account.uid, gid: start.account.gid }),
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.unref();
    return child;
  } finally {
    await log.close();
  }
}

/**
 * The environment for PostgreSQL's programs: none of ours, because PGDATA, PGPORT and LC_* would
 * change what they do. Windows programs do not start without theirs.
 */
export function toolEnvironment(): { env?: Record<string, string> } {
  return process.platform === 'win32'
    ? {}
    : { env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' } };
}

/** Says whether a child of ours has ended. */
export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Finds the pid of the server that runs on a data folder right now. */
export async function findPostmaster(folder: string): Promise<number | undefined> {
  const file = await readPostmasterFile(folder);
  if (file === undefined || !(await isAlive(file.pid))) {
    return undefined;
  }
  const commandLine = await readCommandLine(file.pid);
  const isServer = commandLine === undefined || commandLine.includes(`-D ${folder}`);
  return isServer ? file.pid : undefined;
}

/**
 * Removes a `postmaster.pid` whose pid is alive and belongs to some other program: PostgreSQL would
 * take that for its own server and refuse to start. Where the command line cannot be read, and
 * where the pid is dead, PostgreSQL decides by itself.
 */
export async function removeForeignPidFile(folder: string): Promise<void> {
  const file = await readPostmasterFile(folder);
  if (
    file !== undefined &&
    (await isAlive(file.pid)) &&
    (await findPostmaster(folder)) !== file.pid
  ) {
    await rm(join(folder, 'postmaster.pid'), { force: true });
  }
}

/** Sends a signal to the server alone. On Windows `pg_ctl kill` carries it. */
async function signalPostmaster(pid: number, signal: StopSignal, pgCtl: string): Promise<void> {
  if (process.platform === 'win32' && signal !== 'SIGKILL') {
    await promisify(execFile)(pgCtl, ['kill', signal.slice(3), String(pid)]);
    return;
  }
  signalIfThere(pid, signal);
}

function signalIfThere(pid: number, signal: StopSignal): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!isSystemError(error, 'ESRCH')) {
      throw error;
    }
  }
}

/** Sends a signal to the server and to all of its processes, as a failing machine would. */
export async function signalAll(pid: number, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT') {
  const children = await listChildren(pid);
  for (const each of [pid, ...children]) {
    signalIfThere(each, signal);
  }
  return children;
}

/**
 * Kills the server of a data folder and all of its processes at once, and waits until they are
 * gone. A server that does not run is no error.
 */
export async function killPostmaster(folder: string): Promise<void> {
  const pid = await findPostmaster(folder);
  if (pid === undefined) {
    return;
  }
  const all = [pid, ...(await signalAll(pid, 'SIGKILL'))];
  await until(async () => !(await anyAlive(all)), {
    timeoutMs: KILL_TIMEOUT_MS,
    what: `the processes of the server ${pid} have ended`,
  });
}

async function anyAlive(pids: readonly number[]): Promise<boolean> {
  return (await Promise.all(pids.map(isAlive))).includes(true);
}

/**
 * Stops the server of a data folder: fast shutdown, then immediate, then SIGKILL, each with a
 * bound. A server that does not run is no error.
 */
export async function stopPostmaster(folder: string, pgCtl: string): Promise<void> {
  const pid = await findPostmaster(folder);
  if (pid === undefined) {
    return;
  }
  if (process.platform !== 'win32') {
    await signalAll(pid, 'SIGCONT');
  }
  for (const [signal, timeoutMs] of [
    ['SIGINT', FAST_STOP_TIMEOUT_MS],
    ['SIGQUIT', IMMEDIATE_STOP_TIMEOUT_MS],
  ] as const) {
    await signalPostmaster(pid, signal, pgCtl);
    if (await endsWithin(pid, timeoutMs)) {
      return;
    }
  }
  await killPostmaster(folder);
}

async function endsWithin(pid: number, timeoutMs: number): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  try {
    await until(async () => !(await isAlive(pid)), { timeoutMs, what: `process ${pid} has ended` });
    return true;
  } catch (error) {
    if (performance.now() < end) {
      throw error;
    }
    return false;
  }
}
