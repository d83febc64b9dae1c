#!/usr/bin/env node
/** The `stowage` command: picks a sub-command, nothing else. */

import { createRequire } from 'node:module';
import { Command } from 'commander';
import { withUsage } from './cli/usage.js';
import { type Config, loadClientDefaults, loadConfig, ownersLogin } from './config.js';

// By the package's own name: the build lies one folder deeper than the source.
const { version } = createRequire(import.meta.url)('stowage/package.json') as { version: string };
const print = (line: string) => console.log(line);
const setExitCode = (code: number) => {
  process.exitCode = code;
};
const ownersDatabase = () => ownersLogin(loadConfig());
const { stdout: output, stderr: progress } = process;

/** What the commands that serve need. */
async function serving() {
  const { startLog } = await import('./telemetry/log.js');
  return {
    config: loadConfig,
    startLog: ({ logLevel }: Config) => startLog(logLevel),
    version,
    print,
  };
}

/**
 * The commands by their groups, in the order of the help. Each is loaded when it is wanted: all of
 * them take as long as three quick calls of a server.
 */
const groups: Readonly<Record<string, Readonly<Record<string, () => Promise<Command>>>>> = {
  'Servers:': {
    serve: async () => (await import('./cli/serve.js')).serveCommand(await serving()),
    dev: async () => (await import('./cli/dev.js')).devCommand(await serving()),
    async migrate() {
      const { migrateCommand } = await import('./cli/migrate.js');
      return migrateCommand({ database: ownersDatabase, print, setExitCode });
    },
    async doctor() {
      const { inspectConfig } = await import('./config-inspect.js');
      const { doctorCommand } = await import('./cli/doctor.js');
      return doctorCommand({ config: inspectConfig, output, setExitCode });
    },
    async index() {
      const { indexCommand } = await import('./cli/metadata-index.js');
      return indexCommand({ database: ownersDatabase, print, progress });
    },
  },
  'Objects of a running server:': {
    ls: async () => (await import('./cli/ls.js')).lsCommand(loadClientDefaults()),
    get: async () => (await import('./cli/get.js')).getCommand(loadClientDefaults()),
    search: async () => (await import('./cli/search.js')).searchCommand(loadClientDefaults()),
    rm: async () => (await import('./cli/rm.js')).rmCommand(loadClientDefaults()),
    mv: async () => (await import('./cli/mv.js')).mvCommand(loadClientDefaults()),
    du: async () => (await import('./cli/du.js')).duCommand(loadClientDefaults()),
    stats: async () => (await import('./cli/stats.js')).statsCommand(loadClientDefaults()),
    versions: async () => (await import('./cli/versions.js')).versionsCommand(loadClientDefaults()),
    version: async () => (await import('./cli/version.js')).versionCommand(loadClientDefaults()),
    scan: async () => (await import('./cli/scan.js')).scanCommand(loadClientDefaults()),
    project: async () => (await import('./cli/project.js')).projectCommand(loadClientDefaults()),
  },
  'What is done with objects of a running server:': {
    audit: async () => (await import('./cli/audit.js')).auditCommand(loadClientDefaults()),
    hooks: async () => (await import('./cli/hooks.js')).hooksCommand(loadClientDefaults()),
  },
  'Looking after a running server:': {
    topology: async () => (await import('./cli/topology.js')).topologyCommand(loadClientDefaults()),
    admin: async () => (await import('./cli/admin.js')).adminCommand(loadClientDefaults()),
  },
};

/**
 * Commands whose output is all that they are for: a reader that goes has had enough of it. Others
 * are cut off in what they do or judge, which must not look like success.
 */
const readings: ReadonlySet<string> = new Set([
  ...['ls', 'get', 'search', 'du', 'stats', 'list', 'status', 'topology'],
  ...['versions', 'diff', 'tail', 'trail', 'partitions', 'runs'],
  ...['database', 'tables', 'indexes', 'activity', 'statements', 'replication', 'settings', 'jobs'],
]);
/** The exit code where the reader goes; help and version are read before a command is known. */
let goneReaderCode = 0;

async function main(): Promise<void> {
  const program = new Command('stowage')
    .description('the system of record for what object stores hold')
    .version(version);
  const [wanted = ''] = process.argv.slice(2);
  const isOne = Object.values(groups).some((group) => Object.hasOwn(group, wanted));
  for (const [heading, group] of Object.entries(groups)) {
    program.commandsGroup(heading);
    for (const [name, load] of Object.entries(group)) {
      if (!isOne || name === wanted) program.addCommand(await load());
    }
  }
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
