#!/usr/bin/env node
/** The `stowage` command: picks a sub-command, nothing else. */

import { createRequire } from 'node:module';
import { Command } from 'commander';
import { adminCommand } from './cli/admin.js';
import { devCommand } from './cli/dev.js';
import { doctorCommand } from './cli/doctor.js';
import { duCommand } from './cli/du.js';
import { getCommand } from './cli/get.js';
import { lsCommand } from './cli/ls.js';
import { indexCommand } from './cli/metadata-index.js';
import { migrateCommand } from './cli/migrate.js';
import { mvCommand } from './cli/mv.js';
import { projectCommand } from './cli/project.js';
import { rmCommand } from './cli/rm.js';
import { scanCommand } from './cli/scan.js';
import { searchCommand } from './cli/search.js';
import { serveCommand } from './cli/serve.js';
import { statsCommand } from './cli/stats.js';
import { topologyCommand } from './cli/topology.js';
import { withUsage } from './cli/usage.js';
import { type Config, loadClientDefaults, loadConfig, ownersLogin } from './config.js';
import { inspectConfig } from './config-inspect.js';
import { startLog } from './telemetry/log.js';

// By the package's own name: the build lies one folder deeper than the source.
const { version } = createRequire(import.meta.url)('stowage/package.json') as { version: string };
const print = (line: string) => console.log(line);
const setExitCode = (code: number) => {
  process.exitCode = code;
};
const ownersDatabase = () => ownersLogin(loadConfig());
const serving = {
  config: loadConfig,
  startLog: ({ logLevel }: Config) => startLog(logLevel),
  version,
  print,
};

/**
 * Commands whose output is all that they are for: a reader that goes has had enough of it. Others
 * are cut off in what they do or judge, which must not look like success.
 */
const readings: ReadonlySet<string> = new Set([
  ...['ls', 'get', 'search', 'du', 'stats', 'list', 'status', 'topology'],
  ...['database', 'tables', 'indexes', 'activity', 'statements', 'replication', 'settings', 'jobs'],
]);
/** The exit code where the reader goes; help and version are read before a command is known. */
let goneReaderCode = 0;

async function main(): Promise<void> {
  const client = loadClientDefaults();
  const program = new Command('stowage')
    .description('the system of record for what object stores hold')
    .version(version)
    .commandsGroup('Servers:')
    .addCommand(serveCommand(serving))
    .addCommand(devCommand(serving))
    .addCommand(migrateCommand({ database: ownersDatabase, print, setExitCode }))
    .addCommand(doctorCommand({ config: inspectConfig, output: process.stdout, setExitCode }))
    .addCommand(indexCommand({ database: ownersDatabase, print, progress: process.stderr }))
    .commandsGroup('Objects of a running server:')
    .addCommand(lsCommand(client))
    .addCommand(getCommand(client))
    .addCommand(searchCommand(client))
    .addCommand(rmCommand(client))
    .addCommand(mvCommand(client))
    .addCommand(duCommand(client))
    .addCommand(statsCommand(client))
    .addCommand(scanCommand(client))
    .addCommand(projectCommand(client))
    .commandsGroup('Looking after a running server:')
    .addCommand(topologyCommand(client))
    .addCommand(adminCommand(client));
  program.hook('preAction', (_, command) => {
    goneReaderCode = readings.has(command.name()) ? 0 : 1;
  });
  await withUsage(program).parseAsync();
}

// Who reads the output has gone, as `| head` does: there is nobody left to tell.
process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
  if (code === 'EPIPE') process.exit(goneReaderCode);
  console.error(`stowage: the output cannot be written: ${message}`);
  process.exit(1);
});

try {
  await main();
} catch (error) {
  console.error(`stowage: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
