/**
 * One process at a time per data folder: a lock file that names its holder and the holder's
 * guardian. A lock whose holder is dead is taken over, after its guardian has finished stopping
 * the servers that the holder left behind. Refuses to wait for a holder that is alive.
 */
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../lib/wait.js';
import { EmbeddedError, isSystemError } from './embedded-error.js';
import { replaceFile } from './files.js';
import { isAlive, readStartTicks } from './process-table.js';

const GUARDIAN_TIMEOUT_MS = 30_000;
const TAKEOVER_ATTEMPTS = 5;

interface Holder {
  readonly pid: number;
  readonly startTicks?: string | undefined;
}

interface LockContent extends Holder {
  /** Tells two locks of one process apart. */
  readonly id: string;
  readonly guardian?: Holder | undefined;
}

const heldHere = new Set<string>();

/** A data folder held by this process. */
export interface DataLock {
  /** Records the guardian, whose end a later start awaits. */
  setGuardian(pid: number): Promise<void>;
  /** Gives the folder free. */
  release(): Promise<void>;
}

/**
 * Takes the lock of `folder`.
 *
 * @throws {EmbeddedError} DATA_LOCKED naming the pid of a holder that is alive
 */
export async function acquireLock(folder: string): Promise<DataLock> {
  const file = join(folder, 'lock');
  const id = randomBytes(8).toString('hex');
  const self = { ...(await describe(process.pid)), id };
  for (let attempt = 1; attempt <= TAKEOVER_ATTEMPTS; attempt += 1) {
    if (await createWhole(file, JSON.stringify(self))) {
      heldHere.add(id);
      return makeLock(file, self);
    }
    const text = await readIfThere(file);
    if (text !== undefined) {
      await refuseIfHeld(folder, parseContent(text));
      await moveStaleAway(file, text);
    }
  }
  throw new EmbeddedError('DATA_LOCKED', `other processes keep taking the lock ${file}`);
}

function makeLock(file: string, self: LockContent): DataLock {
  return {
    async setGuardian(pid) {
      const guardian = await describe(pid);
      await replaceFile(file, JSON.stringify({ ...self, guardian }), undefined);
    },
    async release() {
      heldHere.delete(self.id);
      await rm(file, { force: true });
    },
  };
}

async function describe(pid: number): Promise<Holder> {
  return { pid, startTicks: await readStartTicks(pid) };
}

/** Creates the file with all of its text at once, so that nobody ever reads a part of it. */
async function createWhole(file: string, text: string): Promise<boolean> {
  const sibling = `${file}.${randomBytes(6).toString('hex')}`;
  await replaceFile(sibling, text, undefined);
  try {
    await link(sibling, file);
    return true;
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) {
      return false;
    }
    throw error;
  } finally {
    await rm(sibling, { force: true });
  }
}

async function refuseIfHeld(folder: string, content: LockContent | undefined): Promise<void> {
  if (content === undefined) {
    return;
  }
  // Containers give every start the same pids: a lock with our own pid is ours only if we know it.
  const isSelf = content.pid === process.pid;
  if (isSelf ? heldHere.has(content.id) : await isRunning(content)) {
    throw new EmbeddedError(
      'DATA_LOCKED',
      `process ${content.pid} is using the database in ${folder}; stop it first, or choose ` +
        'another data directory',
    );
  }
  const { guardian } = content;
  if (guardian !== undefined) {
    await until(async () => !(await isRunning(guardian)), {
      timeoutMs: GUARDIAN_TIMEOUT_MS,
      what: `the guardian ${guardian.pid} has stopped the servers that process ${content.pid} left`,
    });
  }
}

async function isRunning(holder: Holder): Promise<boolean> {
  const startTicks = await readStartTicks(holder.pid);
  return startTicks === holder.startTicks && (await isAlive(holder.pid));
}

/**
 * Moves a stale lock out of the way, by renaming, so that of two takers only one succeeds; whoever
 * finds that it moved a lock that was made meanwhile puts it back.
 */
async function moveStaleAway(file: string, staleText: string): Promise<void> {
  const aside = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(file, aside);
    if ((await readFile(aside, 'utf8')) !== staleText) {
      await link(aside, file);
    }
    await rm(aside, { force: true });
  } catch (error) {
    if (!isSystemError(error, 'ENOENT') && !isSystemError(error, 'EEXIST')) {
      throw error;
    }
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) {
      return undefined;
    }
    throw error;
  }
}

/** A lock whose text is no lock (a disk that was full, a crash) holds nobody. */
function parseContent(text: string): LockContent | undefined {
  try {
    const parsed = JSON.parse(text) as LockContent;
    return typeof parsed.pid === 'number' ? parsed : undefined;
  } catch {
    return undefined;
  }
}
