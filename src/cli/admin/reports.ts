/** The commands of `stowage admin` that only look. */

import { Command, Option } from 'commander';
import {
  AdminService,
  ClusterService,
  GetActivityResponseSchema,
  GetDatabaseStatisticsResponseSchema,
  GetHealthResponseSchema,
  GetIndexStatisticsResponseSchema,
  GetReplicationStatusResponseSchema,
  GetRiskySettingsResponseSchema,
  GetStatementStatisticsResponseSchema,
  GetTableStatisticsResponseSchema,
  HealthStatus,
  StatementOrder,
} from '../../client/index.js';
import { failedExitCode, type Surroundings } from '../call.js';
import type { OutputOptions } from '../options.js';
import { activityShown } from './activity.js';
import { databaseShown } from './database.js';
import { healthShown } from './health.js';
import { indexesShown } from './indexes.js';
import { durationMs, type ListOptions, type NodeOptions, withLimit, withNode } from './options.js';
import { replicationShown } from './replication.js';
import { reportCommand } from './report-command.js';
import { settingsShown } from './settings.js';
import { statementsShown } from './statements.js';
import { tablesShown } from './tables.js';

const service = AdminService;

/** The field of a request; without one the service chooses. */
const nodeOf = ({ node = '' }: NodeOptions): { readonly node: string } => ({ node });

function databaseCommand(surroundings: Surroundings): Command {
  const command = new Command('database').description('size, sessions and counters of a database');
  return reportCommand(
    withNode(command),
    {
      service,
      schema: GetDatabaseStatisticsResponseSchema,
      ask: (client, options: NodeOptions) => client.getDatabaseStatistics(nodeOf(options)),
      show: databaseShown,
    },
    surroundings,
  );
}

function tablesCommand(surroundings: Surroundings): Command {
  const command = new Command('tables')
    .description('sizes, dead rows and bloat of tables, the largest first')
    .option('--partitions', 'each partition by itself', false);
  return reportCommand(
    withNode(withLimit(command, 'the largest so many', 50)),
    {
      service,
      schema: GetTableStatisticsResponseSchema,
      ask: (client, options: ListOptions & { readonly partitions: boolean }) => {
        const { limit, partitions } = options;
        return client.getTableStatistics({ ...nodeOf(options), limit, partitions });
      },
      show: tablesShown,
    },
    surroundings,
  );
}

interface IndexOptions extends ListOptions {
  readonly unused: boolean;
}

function indexesCommand(surroundings: Surroundings): Command {
  const command = new Command('indexes')
    .description('sizes, bloat and use of indexes, the largest first')
    .option('--unused', 'only those that no node reads, with their definitions', false);
  return reportCommand(
    withNode(withLimit(command, 'the largest so many', 50)),
    {
      service,
      schema: GetIndexStatisticsResponseSchema,
      ask: (client, options: IndexOptions) => {
        const { limit, unused } = options;
        return client.getIndexStatistics({ ...nodeOf(options), limit, unused });
      },
      show: (answer, view, options: IndexOptions) => indexesShown(answer, view, options),
    },
    surroundings,
  );
}

interface ActivityOptions extends ListOptions {
  /** In milliseconds. */
  readonly minDuration?: number;
}

function activityCommand(surroundings: Surroundings): Command {
  const command = new Command('activity')
    .description('what sessions do, for how long, and who holds up whom')
    .option('--min-duration <time>', 'only what takes so long, such as 5s, and locks', durationMs);
  return reportCommand(
    withNode(withLimit(command, 'so many sessions', 50)),
    {
      service,
      schema: GetActivityResponseSchema,
      ask: (client, options: ActivityOptions) => {
        const { limit, minDuration = 0 } = options;
        const minDurationMs = BigInt(minDuration);
        return client.getActivity({ ...nodeOf(options), limit, minDurationMs });
      },
      show: (answer, view, options: ActivityOptions) => activityShown(answer, view, options),
    },
    surroundings,
  );
}

const orders = {
  total: StatementOrder.TOTAL_TIME,
  mean: StatementOrder.MEAN_TIME,
  calls: StatementOrder.CALLS,
} as const;

function statementsCommand(surroundings: Surroundings): Command {
  const order = new Option('--order <figure>', 'by time in all, by time of one, or by calls')
    .choices(Object.keys(orders))
    .default('total');
  const command = new Command('statements')
    .description('the statements that cost most')
    .addOption(order);
  return reportCommand(
    withNode(withLimit(command, 'the first so many', 20)),
    {
      service,
      schema: GetStatementStatisticsResponseSchema,
      ask: (client, options: ListOptions & { readonly order: keyof typeof orders }) => {
        const request = { ...nodeOf(options), limit: options.limit, order: orders[options.order] };
        return client.getStatementStatistics(request);
      },
      show: statementsShown,
    },
    surroundings,
  );
}

function replicationCommand(surroundings: Surroundings): Command {
  return reportCommand(
    new Command('replication').description('who follows whom, how far behind; what slots keep'),
    {
      service,
      schema: GetReplicationStatusResponseSchema,
      ask: (client, _options: OutputOptions) => client.getReplicationStatus({}),
      show: replicationShown,
    },
    surroundings,
  );
}

function settingsCommand(surroundings: Surroundings): Command {
  const command = new Command('settings').description("PostgreSQL's settings that are a risk");
  return reportCommand(
    withNode(command, 'every node'),
    {
      service,
      schema: GetRiskySettingsResponseSchema,
      ask: (client, options: NodeOptions) => client.getRiskySettings(nodeOf(options)),
      show: settingsShown,
    },
    surroundings,
  );
}

function healthCommand(surroundings: Surroundings): Command {
  return reportCommand(
    new Command('health').description('server and nodes at a glance; exit code 1 when down'),
    {
      service: ClusterService,
      schema: GetHealthResponseSchema,
      ask: (client, _options: OutputOptions) => client.getHealth({}),
      show: ({ report }, view) => {
        if (report === undefined) throw new Error('the server answered without its health');
        return healthShown(report, view);
      },
      judge: ({ report }, shell) => {
        if (report?.status === HealthStatus.DOWN) shell.exitCode = failedExitCode;
      },
    },
    surroundings,
  );
}

/** The commands, in the order of the help. */
export const reportCommands: readonly ((surroundings: Surroundings) => Command)[] = [
  healthCommand,
  databaseCommand,
  tablesCommand,
  indexesCommand,
  activityCommand,
  statementsCommand,
  replicationCommand,
  settingsCommand,
];
