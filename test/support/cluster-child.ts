/**
 * A process that starts a cluster and waits to be killed. Argument: the data directory. Prints one
 * line of JSON once the cluster is up; at SIGINT it stops the cluster in order.
 */

import { startCluster } from '../../src/embedded/index.js';
import { readPostmasterFile } from '../../src/embedded/postmaster.js';
import { nativeFolderForTests } from './postgres-version.js';

/** What the process prints. */
export interface ChildReport {
  /** Pids of the servers. */
  readonly servers: readonly number[];
  /** Folder of the cluster's data. */
  readonly folder: string;
}

const [, , dataDirectory] = process.argv;
if (dataDirectory === undefined) {
  throw new Error('usage: cluster-child DATA_DIRECTORY');
}
const nativeFolder = await nativeFolderForTests();
const cluster = await startCluster({ dataDirectory, nativeFolder, standbys: 1, fsync: false });
await cluster.primary.query('create table if not exists kept (value int)');
await cluster.primary.query('insert into kept values (1)');
// Before the report: whoever reads it may send the signal at once.
const alive = setInterval(() => undefined, 60_000);
process.once('SIGINT', () => {
  clearInterval(alive);
  cluster.stop().catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exitCode = 1;
  });
});
const files = await Promise.all(cluster.nodes.map((node) => readPostmasterFile(node.folder)));
const report: ChildReport = {
  servers: files.map((file) => file?.pid ?? 0),
  folder: cluster.folder,
};
process.stdout.write(`${JSON.stringify(report)}\n`);
