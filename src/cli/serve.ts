/**
 * `stowage serve`: serves an existing database until it is told to stop. SIGHUP has it read its
 * nodes and its password again.
 */

import { Command } from 'commander';
import { type Config, ownersLogin } from '../config.js';
import { migrateUp } from '../postgres/migrate.js';
import { type RunningServer, type StartOptions, startServer } from '../server/run.js';
import { shutdownAsked } from '../server/shutdown.js';

type Log = NonNullable<StartOptions['log']>;

/** What the command needs of its surroundings. */
export interface ServeDependencies {
  /** @throws ConfigError */
  config(): Config;
  /** Begins to log at the configured level. */
  startLog(config: Config): Log;
  /** The program's version. */
  readonly version: string;
  /** Takes one line of output. */
  print(line: string): void;
}

/** Makes the sub-command. */
export function serveCommand(dependencies: ServeDependencies): Command {
  return new Command('serve')
    .description('serve the database that DATABASE_URL or POSTGRES_HOST names')
    .action(async () => {
      const config = dependencies.config();
      const log = dependencies.startLog(config);
      if (config.migrate) {
        await migrateUp({
          database: ownersLogin(config),
          log: dependencies.print,
        });
      }
      let server: RunningServer | undefined;
      let isReloadDue = false;
      const reload = () => {
        isReloadDue = server === undefined;
        void server?.reload(() => dependencies.config().postgres);
      };
      // From the first moment: one that comes during the start must not end it, nor be lost.
      process.on('SIGHUP', reload);
      server = await startServer(config, {
        onWaiting: dependencies.print,
        log,
        version: dependencies.version,
      });
      if (isReloadDue) reload();
      dependencies.print(readyLine(server));
      await shutdownAsked();
      dependencies.print('stopping; a second signal ends at once');
      await server.close();
    });
}

/** Where a server listens, for a person. */
export function readyLine({ grpcAddress, httpAddress }: RunningServer): string {
  return (
    `ready: gRPC at ${grpcAddress.host}:${grpcAddress.port}, ` +
    `Connect and gRPC-Web at http://${httpAddress.host}:${httpAddress.port}`
  );
}
