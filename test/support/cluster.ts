/**
 * Embedded clusters for tests. Most tests share the one that the global setup starts and read its
 * addresses with `sharedCluster()`; tests that crash or promote nodes start their own with
 * `startTestCluster`.
 */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import {
  type ClusterOptions,
  type EmbeddedCluster,
  removeCluster,
  startCluster,
} from '../../src/embedded/index.js';
import { nativeFolderForTests } from './postgres-version.js';
import { quickFolder } from './quick-folder.js';

const FOLDER_PREFIX = 'stowage-test-';
const ABANDONED_AFTER_MS = 3_600_000;

/** One node of the shared cluster, as the tests see it. */
export interface SharedNode {
  readonly name: string;
  readonly role: 'primary' | 'standby';
  readonly host: string;
  readonly port: number;
  /** Superuser's URL of the database `stowage`, password included. */
  readonly url: string;
}

/** The cluster that all test files of a run share: a primary first, then two standbys. */
export interface SharedCluster {
  readonly nodes: readonly SharedNode[];
  readonly majorVersion: number;
}

declare module 'vitest' {
  interface ProvidedContext {
    cluster: SharedCluster;
  }
}

/** The shared cluster of this run. Its nodes are not to be stopped, promoted or cut off. */
export function sharedCluster(): SharedCluster {
  return inject('cluster');
}

/** A cluster of one test's own; `stop` and `await using` also remove its data. */
export interface TestCluster extends AsyncDisposable {
  readonly cluster: EmbeddedCluster;
  /** Data directory, for a start of one's own after `cluster.stop()`. */
  readonly dataDirectory: string;
  stop(): Promise<void>;
}

/** Starts a cluster in a temporary folder, without fsync, on the PostgreSQL under test. */
export async function startTestCluster(
  options: Omit<ClusterOptions, 'dataDirectory'> = {},
): Promise<TestCluster> {
  const dataDirectory = await mkdtemp(join(quickFolder(), FOLDER_PREFIX));
  const nativeFolder = await nativeFolderForTests();
  const cluster = await startCluster({ fsync: false, nativeFolder, ...options, dataDirectory });
  const stop = async () => {
    await cluster.stop();
    await removeCluster(dataDirectory);
    await rm(dataDirectory, { recursive: true, force: true });
  };
  return { cluster, dataDirectory, stop, [Symbol.asyncDispose]: stop };
}

/** Removes what runs left that were killed, an hour after; the data of running ones is locked. */
export async function removeAbandonedClusters(): Promise<void> {
  for (const parent of new Set([quickFolder(), tmpdir()])) {
    for (const name of await readdir(parent)) {
      const folder = join(parent, name);
      if (name.startsWith(FOLDER_PREFIX) && (await isAbandoned(folder))) {
        await removeCluster(folder);
        await rm(folder, { recursive: true, force: true });
      }
    }
  }
}

async function isAbandoned(folder: string): Promise<boolean> {
  const found = await stat(folder);
  const isOurs = process.geteuid === undefined || found.uid === process.geteuid();
  return isOurs && Date.now() - found.mtimeMs > ABANDONED_AFTER_MS;
}

/** Describes a running cluster for the tests of other processes. */
export function describeCluster(cluster: EmbeddedCluster): SharedCluster {
  const nodes = [cluster.primary, ...cluster.standbys].map((node) => ({
    name: node.name,
    role: node.role,
    host: '127.0.0.1',
    port: node.port,
    url: node.url(),
  }));
  return { nodes, majorVersion: cluster.majorVersion };
}
