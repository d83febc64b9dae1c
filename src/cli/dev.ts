/**
 * `stowage dev`, which is `npm start`: an embedded PostgreSQL primary with standbys, migrated and
 * served, on a machine with nothing but Node.
 */

import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Command } from 'commander';
import type { Address, AdminLogin, Config, PostgresSettings } from '../config.js';
import { type EmbeddedCluster, keptKey, startCluster } from '../embedded/index.js';
import { parseDatabaseUrl } from '../lib/database-url.js';
import { shellWord } from '../lib/shell-word.js';
import { migrateUp } from '../postgres/migrate.js';
import { createServiceLogin, showStatistics } from '../postgres/service-login.js';
import { type RunningServer, type StartOptions, startServer } from '../server/run.js';
import { shutdownAsked } from '../server/shutdown.js';
import { readyLine, type ServeDependencies } from './serve.js';

const database = 'stowage';
const user = 'stowage';

/** Makes the sub-command. */
export function devCommand(dependencies: ServeDependencies): Command {
  const { print, version } = dependencies;
  return new Command('dev')
    .description('start an embedded PostgreSQL cluster, migrate it and serve it')
    .action(async () => {
      const config = dependencies.config();
      const log = dependencies.startLog(config);
      // Asked for from the first moment: a signal while the cluster comes up must not orphan it.
      const asked = shutdownAsked();
      await assertFree('STOWAGE_GRPC_ADDRESS', config.server.grpcAddress);
      await assertFree('STOWAGE_HTTP_ADDRESS', config.server.httpAddress);
      print(`starting PostgreSQL with ${config.standbys} standbys in ${config.dataDir}`);
      const cluster = await startCluster({
        dataDirectory: config.dataDir,
        standbys: config.standbys,
        database,
        onProgress: (step) => print(`  ${step}`),
      });
      try {
        print(`  data in ${cluster.folder}`);
        const server = await serveCluster(cluster, config, { log, print, version });
        print(readyLine(server));
        print(firstThing(server, config));
        print(ownersThing(cluster));
        await asked;
        print('stopping; a second signal ends at once');
        await server.close();
      } finally {
        await cluster.stop();
      }
    });
}

async function serveCluster(
  cluster: EmbeddedCluster,
  config: Config,
  {
    log,
    print,
    version,
  }: Pick<ServeDependencies, 'print' | 'version'> & Required<Pick<StartOptions, 'log'>>,
): Promise<RunningServer> {
  const owner = cluster.superuserUrl();
  const applied = await migrateUp({ database: owner });
  if (applied.length > 0) {
    print(`  ${applied.length} migrations applied`);
  }
  const password = randomBytes(24).toString('base64url');
  await createServiceLogin(owner, { user, password });
  await showStatistics(owner, user);
  // Standbys know the login once they have replayed it.
  await cluster.waitUntilCaughtUp();
  const postgres: PostgresSettings = {
    ...config.postgres,
    nodes: cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
    database,
    user,
    password,
    tls: false,
    pooler: 'none',
  };
  const admin = ownersLogin(owner, postgres);
  const keeping = await withKey(config.keeping, cluster);
  return startServer({ ...config, postgres, admin, keeping }, { log, version });
}

/** Hooks have secrets without anybody being asked for a key: one is made and kept with the data. */
async function withKey(
  keeping: Config['keeping'],
  { folder }: EmbeddedCluster,
): Promise<Config['keeping']> {
  const secretsKey = keeping.secretsKey ?? (await keptKey(join(folder, 'secrets-key')));
  return { ...keeping, secretsKey };
}

/** The superuser's, at whichever node is the primary. */
function ownersLogin(url: string, { nodes, connectTimeoutMs }: PostgresSettings): AdminLogin {
  const { user = '', password } = parseDatabaseUrl(url);
  const rest = { tls: false, connectTimeoutMs, passwordSource: undefined } as const;
  return { nodes, database, user, password, ...rest };
}

/** Finds out before a cluster is started for nothing. */
function assertFree(key: string, { host, port }: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === 'EADDRINUSE';
      const reason = isTaken ? 'is taken by another program' : `cannot be had: ${error.message}`;
      reject(new Error(`${host}:${port} ${reason}; set ${key} to another address`));
    });
    probe.listen(port, host, () => probe.close(() => resolve()));
  });
}

function firstThing({ httpAddress }: RunningServer, config: Config): string {
  const url = `http://${httpAddress.host}:${httpAddress.port}/stowage.v1.StorageService/RecordObject`;
  const token =
    config.server.authToken === undefined ? '' : ' -H "authorization: Bearer $STOWAGE_AUTH_TOKEN"';
  const body = '{"object":{"objectKey":"hello.txt","storageBackend":"local","size":"5"}}';
  return `try:\n  curl -s ${url}${token} -H 'content-type: application/json' -d '${body}'`;
}

/** How commands reach the database itself, whose ports and password nobody has chosen. */
function ownersThing({ loginUrl, passFile }: EmbeddedCluster): string {
  const environment = `DATABASE_URL=${shellWord(loginUrl)} PGPASSFILE=${shellWord(passFile)}`;
  return `for stowage doctor, index and migrate:\n  ${environment} npx stowage doctor`;
}
