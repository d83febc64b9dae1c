/**
 * Starts an embedded cluster: takes the data folder, clears what an earlier process left, makes
 * what is missing and brings the nodes up.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { accountToDropTo } from './account.js';
import { findNativeFolder, prepareBinaries } from './binaries.js';
import { bringUp } from './bring-up.js';
import { EmbeddedCluster } from './cluster.js';
import { renderPassFile } from './configuration.js';
import type { ClusterContext } from './context.js';
import { locateDataFolder, openDataFolder } from './data-folder.js';
import { EmbeddedError } from './embedded-error.js';
import { exists, removeTree, replaceFile } from './files.js';
import { type Guardian, startGuardian } from './guardian-link.js';
import { acquireLock } from './lock.js';
import { findPostmaster, killPostmaster, stopPostmaster } from './postmaster.js';
import { listNodeFolders } from './state.js';

/** Most standbys a cluster may have: each takes a sender of the primary's ten. */
const STANDBYS_MAX = 8;

/** How to start a cluster. */
export interface ClusterOptions {
  /** Folder that the cluster's data belongs to, for example `.stowage`; made if missing. */
  readonly dataDirectory: string;
  /** Number of standbys beside the primary, 0 to 8; default 2. May differ from the last start. */
  readonly standbys?: number;
  /** Whether commits wait for the disk; default true. Tests turn it off, data then may break. */
  readonly fsync?: boolean;
  /** Ports of the nodes in the order of their names, 0 for a free one; default: as last time. */
  readonly ports?: readonly number[];
  /** Database to make if missing; default `stowage`. */
  readonly database?: string;
  /** Folder with PostgreSQL's bin, lib and share; default: the installed platform package's. */
  readonly nativeFolder?: string;
  /** PostgreSQL settings for every node that override the cluster's own; default none. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Is told each step that takes time, as a phrase; default: nobody is. */
  readonly onProgress?: (step: string) => void;
}

/**
 * Starts a primary and its standbys; resolves once all of them accept connections and every
 * standby streams and has caught up. Data is kept between starts.
 *
 * @throws {EmbeddedError} with the reason and a sentence that says what to do
 */
export async function startCluster(options: ClusterOptions): Promise<EmbeddedCluster> {
  const standbys = options.standbys ?? 2;
  if (!Number.isInteger(standbys) || standbys < 0 || standbys > STANDBYS_MAX) {
    throw new EmbeddedError(
      'OPTION_INVALID',
      `a cluster has 0 to ${STANDBYS_MAX} standbys, not ${standbys}`,
    );
  }
  const onProgress = options.onProgress ?? (() => undefined);
  const account = accountToDropTo();
  const binaries = await prepareBinaries(options.nativeFolder ?? findNativeFolder(), account);
  const folder = await openDataFolder(options.dataDirectory, account);
  const lock = await acquireLock(folder);
  let guardian: Guardian | undefined;
  const release = async () => {
    guardian?.dismiss();
    await lock.release();
  };
  try {
    guardian = startGuardian(folder, binaries.pgCtl);
    await lock.setGuardian(guardian.pid);
    guardian.arm();
    await stopLeftovers(folder, binaries.pgCtl, onProgress);
    const passFile = join(folder, 'pgpass');
    const context: ClusterContext = {
      folder,
      binaries,
      account,
      passFile,
      password: await keepPassword(passFile, account),
      database: options.database ?? 'stowage',
      fsync: options.fsync ?? true,
      settings: options.settings ?? {},
      onProgress,
    };
    const { nodes, primary } = await bringUp(context, standbys, options.ports);
    return new EmbeddedCluster(nodes, primary.name, { context, release });
  } catch (error) {
    await stopLeftovers(folder, binaries.pgCtl, onProgress).finally(release);
    throw error;
  }
}

/**
 * Removes all data of the cluster in `dataDirectory`; no data is no error.
 *
 * @throws {EmbeddedError} DATA_LOCKED while a process uses it
 */
export async function removeCluster(dataDirectory: string): Promise<void> {
  const folder = await locateDataFolder(dataDirectory, accountToDropTo());
  if (folder !== undefined) {
    const lock = await acquireLock(folder);
    try {
      const names = await listNodeFolders(folder);
      await Promise.all(names.map((name) => killPostmaster(join(folder, name))));
      await removeTree(folder);
    } finally {
      await lock.release();
    }
  }
}

/** Stops servers whose starter and its guardian both died before they could. */
async function stopLeftovers(
  folder: string,
  pgCtl: string,
  onProgress: (step: string) => void,
): Promise<void> {
  await Promise.all(
    (await listNodeFolders(folder)).map(async (name) => {
      const pid = await findPostmaster(join(folder, name));
      if (pid !== undefined) {
        onProgress(`stopping the server ${pid} that was left running`);
        await stopPostmaster(join(folder, name), pgCtl);
      }
    }),
  );
}

/** Reads the superuser's password, or makes one for a cluster that has none yet. */
async function keepPassword(passFile: string, account: ClusterContext['account']): Promise<string> {
  if (!(await exists(passFile))) {
    const password = randomBytes(24).toString('base64url');
    await replaceFile(passFile, renderPassFile(password), account);
  }
  const password = (await readFile(passFile, 'utf8')).trim().split(':').at(-1);
  if (password === undefined || password === '') {
    throw new EmbeddedError('DATA_BROKEN', `${passFile} holds no password`);
  }
  return password;
}
