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
import { jsonText } from './output.js';
import { formatBytes, formatCount } from './scan/format.js';
import { escapeText } from './scan/names.js';
import { type Column, renderTable } from './table.js';

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
        print(`${escapeText(path)} (${type}) ${added ? 'is indexed' : 'was indexed already'}`);
      } finally {
        shown.stop(false);
      }
    },
  );

  withPath(command.command('drop').description('drop an index; nobody is held up')).action(
    async (path: string, { type }: TypeOptions) => {
      await dropMetadataIndex({ database: database(), path, type });
      print(`${escapeText(path)} (${type}) is no longer indexed`);
    },
  );

  command
    .command('list')
    .description('list the indexes with their size and use')
    .option('--json', 'print JSON', false)
    .action(async ({ json }: { readonly json: boolean }) => {
      const indexes = await listMetadataIndexes(database());
      for (const line of json ? [jsonOf(indexes)] : tableOf(indexes)) print(line);
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

const columns: readonly Column<MetadataIndexStatus>[] = [
  { title: 'PATH', cell: ({ path }) => `metadata.${path}` },
  { title: 'TYPE', cell: ({ type }) => type },
  { title: 'STATE', cell: ({ state }) => state },
  { title: 'SIZE', cell: ({ bytes }) => formatBytes(bytes), align: 'right' },
  { title: 'SCANS', cell: ({ scans }) => formatCount(scans), align: 'right' },
];

/** Paths as the other commands take them. */
function jsonOf(indexes: readonly MetadataIndexStatus[]): string {
  const named = indexes.map((index) => ({ ...index, path: `metadata.${index.path}` }));
  return jsonText(named, 2);
}

function tableOf(indexes: readonly MetadataIndexStatus[]): readonly string[] {
  if (indexes.length === 0) return ['there are no indexes of the metadata'];
  return renderTable(columns, indexes).trimEnd().split('\n');
}
