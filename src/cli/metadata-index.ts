/** `stowage index`: makes, lists and drops indexes of paths of the metadata. */

import { Command, Option } from 'commander';
import type { AdminDatabase } from '../postgres/admin-connection.js';
import {
  addMetadataIndex,
  dropMetadataIndex,
  listMetadataIndexes,
  type MetadataIndexStatus,
} from '../postgres/metadata-indexes.js';
import type { MetadataType } from '../postgres/metadata-path.js';
import { createBuildProgress } from './metadata-index-progress.js';
import { formatBytes, formatCount } from './scan/format.js';

/** What the command needs of its surroundings. */
export interface IndexDependencies {
  /** The database as its owner reaches it. @throws ConfigError */
  database(): AdminDatabase;
  /** Takes one line of output. */
  print(line: string): void;
  /** Where progress is shown. */
  readonly progress: NodeJS.WriteStream;
}

interface TypeOptions {
  readonly type: MetadataType;
}

/** Makes the sub-command. Its actions throw StowageError; the program prints them. */
export function indexCommand({ database, print, progress }: IndexDependencies): Command {
  const command = new Command('index').description('index paths of the metadata for comparisons');

  withPath(command.command('add').description('build an index; writes go on meanwhile')).action(
    async (path: string, { type }: TypeOptions) => {
      const shown = createBuildProgress(progress);
      const onProgress = shown.update;
      const log = (line: string) => shown.note(line);
      try {
        const added = await addMetadataIndex({ database: database(), path, type, log, onProgress });
        shown.stop(added);
        print(`${path} (${type}) ${added ? 'is indexed' : 'was indexed already'}`);
      } finally {
        shown.stop(false);
      }
    },
  );

  withPath(command.command('drop').description('drop an index; nobody is held up')).action(
    async (path: string, { type }: TypeOptions) => {
      await dropMetadataIndex({ database: database(), path, type });
      print(`${path} (${type}) is no longer indexed`);
    },
  );

  command
    .command('list')
    .description('list the indexes with their size and use')
    .action(async () => {
      for (const line of tableOf(await listMetadataIndexes(database()))) print(line);
    });

  return command;
}

function withPath(command: Command): Command {
  return command
    .argument('<path>', 'the path, such as metadata.owner or metadata.camera.model')
    .addOption(
      new Option('--type <type>', 'which of its values')
        .choices(['text', 'number'])
        .default('text'),
    );
}

function tableOf(indexes: readonly MetadataIndexStatus[]): readonly string[] {
  if (indexes.length === 0) return ['there are no indexes of the metadata'];
  const rows = indexes.map(({ path, type, state, bytes, scans }) => [
    ...[`metadata.${path}`, type, state, formatBytes(bytes), formatCount(scans)],
  ]);
  const table = [['path', 'type', 'state', 'size', 'scans'], ...rows];
  const widths = [0, 1, 2, 3, 4].map((at) => Math.max(...table.map((row) => row[at]?.length ?? 0)));
  return table.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
