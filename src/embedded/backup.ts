/**
 * Builds a standby from a running primary: an online backup by copying files between
 * `pg_backup_start` and `pg_backup_stop`. The npm packages carry no pg_basebackup and no pg_rewind,
 * and starting an old primary's own data as a standby is silent about the rows it alone has.
 */
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClusterContext } from './context.js';
import { EmbeddedError } from './embedded-error.js';
import { copyTree, giveTree, removeTree, replaceFile } from './files.js';
import { partialFolder } from './initialise.js';
import type { EmbeddedNode } from './node.js';

/** Folders that are copied empty: their content belongs to the running server. */
const EMPTY_FOLDERS =
  /^(?:pg_wal|pg_replslot|pg_stat_tmp|pg_subtrans|pg_notify|pg_serial|pg_snapshots|pg_dynshmem)\//;

const LEFT_OUT = new Set(['postmaster.pid', 'postmaster.opts', 'standby.signal']);

/** Traces of other backups, and what a server makes anew at its start. */
const LEFT_OUT_ANYWHERE = /(?:^backup_|pgsql_tmp|pg_internal\.init)/;

/** Says whether an online backup leaves out this path below the data folder. */
export function isLeftOutOfBackup(relativePath: string): boolean {
  return (
    EMPTY_FOLDERS.test(relativePath) ||
    LEFT_OUT.has(relativePath) ||
    LEFT_OUT_ANYWHERE.test(relativePath)
  );
}

/** Replaces the data of `target`, which must not run, with a copy of the running `primary`. */
export async function rebuildFrom(
  context: ClusterContext,
  primary: EmbeddedNode,
  target: EmbeddedNode,
): Promise<void> {
  const { account } = context;
  const partial = partialFolder(target.folder);
  await removeTree(partial);
  await primary.connect(async (sql) => {
    // "true": checkpoint at once instead of spreading it over minutes.
    await sql('select pg_backup_start($1, true)', [`stowage: ${target.name}`]);
    await copyTree(primary.folder, partial, {
      ownedBy: account,
      refusesLinks: true,
      toleratesVanished: true,
      skip: isLeftOutOfBackup,
    });
    const [stopped] = await sql<{ labelfile: string }>(
      'select labelfile from pg_backup_stop(false)',
    );
    if (stopped === undefined) {
      throw new EmbeddedError('TOOL_FAILED', 'pg_backup_stop returned no label');
    }
    await replaceFile(join(partial, 'backup_label'), stopped.labelfile, undefined);
  });
  for (const name of ['archive_status', 'summaries']) {
    await mkdir(join(partial, 'pg_wal', name), { mode: 0o700 });
  }
  await replaceFile(join(partial, 'standby.signal'), '', undefined);
  await giveTree(partial, account);
  await removeTree(target.folder);
  await rename(partial, target.folder);
}
