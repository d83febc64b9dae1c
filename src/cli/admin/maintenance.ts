/** The commands of `stowage admin` that change something: jobs, and the log's level. */

import { Command } from 'commander';
import {
  AdminService,
  ListMaintenanceJobsResponseSchema,
  type MaintenanceJob,
  MaintenanceJobSchema,
  MaintenanceState,
} from '../../client/index.js';
import { callService, failedExitCode, type Surroundings } from '../call.js';
import { notEmpty, type OutputOptions, withOutputOptions } from '../options.js';
import type { Shell } from '../output.js';
import { escapeText } from '../scan/names.js';
import { type AdminClient, jobOf, runToEnd } from './follow-job.js';
import { jobName, jobsShown, tookText } from './jobs.js';
import { explain, printAnswer, reportCommand } from './report-command.js';

interface JobOptions extends OutputOptions {
  readonly detach: boolean;
}

/** Makes the server begin a job on what is named. */
type Begin<Options> = (
  client: AdminClient,
  name: string,
  options: Options,
) => Promise<{ readonly job?: MaintenanceJob | undefined }>;

/** Whom a job that has ended is told, and how. */
interface Told {
  readonly json: boolean;
  readonly shell: Shell;
}

const schema = MaintenanceJobSchema;

/** How a job ended, in a sentence without its end. */
function endText(job: MaintenanceJob): string {
  const took = tookText(job, new Date());
  const detail = job.error === '' ? '' : `: ${escapeText(job.error)}`;
  switch (job.state) {
    case MaintenanceState.SUCCEEDED:
      return `${jobName(job)}: done in ${took}`;
    case MaintenanceState.CANCELLED:
      return `${jobName(job)}: cancelled after ${took}${detail}`;
    case MaintenanceState.FAILED:
      return `${jobName(job)}: failed after ${took}${detail}`;
    default:
      return `${jobName(job)}: about to end`;
  }
}

/** Tells of the end; one that is not the wanted one is a failure. */
async function tellEnd(job: MaintenanceJob, { json, shell }: Told): Promise<void> {
  const isDone = job.state === MaintenanceState.SUCCEEDED;
  if (json || isDone) {
    const shown = json ? undefined : () => ({ text: `${endText(job)}\n` });
    await printAnswer(shell, { schema, message: job }, shown);
  }
  if (isDone) return;
  shell.stderr.write(`stowage admin: ${endText(job)}\n`);
  shell.exitCode ||= failedExitCode;
}

/** A sub-command that begins a job and, unless told otherwise, waits for its end. */
function jobCommand<Options extends JobOptions>(
  command: Command,
  begin: Begin<Options>,
  { defaults, shell }: Surroundings,
): Command {
  command.option('--detach', 'print the id of the job and leave it to the server', false);
  return withOutputOptions(command, defaults).action(async (name: string, options: Options) => {
    const caller = { name: 'admin', options, defaults, shell, explain };
    await callService(AdminService, caller, async (client) => {
      const { detach, json, server } = options;
      const start = async () => jobOf(await begin(client, name, options));
      if (!detach) {
        await tellEnd(await runToEnd(start, { client, server, shell }), { json, shell });
        return;
      }
      const job = await start();
      const shown = json ? undefined : () => ({ text: `${escapeText(job.jobId)}\n` });
      await printAnswer(shell, { schema, message: job }, shown);
    });
  });
}

function vacuumCommand(surroundings: Surroundings): Command {
  const command = new Command('vacuum')
    .description('free the space of dead rows of a table')
    .argument('<table>', 'its name as `admin tables` has it', notEmpty)
    .option('--analyze', 'make its statistics anew as well', false);
  return jobCommand(
    command,
    (client, table, { analyze }: JobOptions & { readonly analyze: boolean }) =>
      client.vacuum({ table, analyze }),
    surroundings,
  );
}

function analyzeCommand(surroundings: Surroundings): Command {
  const command = new Command('analyze')
    .description('make the statistics of a table anew')
    .argument('<table>', 'its name as `admin tables` has it', notEmpty);
  return jobCommand(command, (client, table) => client.analyze({ table }), surroundings);
}

function reindexCommand(surroundings: Surroundings): Command {
  const command = new Command('reindex')
    .description('build an index anew beside the old one; nobody is held up')
    .argument('<index>', 'its name as `admin indexes` has it', notEmpty);
  return jobCommand(
    command,
    (client, index) => client.reindexConcurrently({ index }),
    surroundings,
  );
}

function jobsCommand(surroundings: Surroundings): Command {
  return reportCommand(
    new Command('jobs').description('maintenance jobs of the answering server, the newest first'),
    {
      service: AdminService,
      schema: ListMaintenanceJobsResponseSchema,
      ask: (client, _options: OutputOptions) => client.listMaintenanceJobs({}),
      show: jobsShown,
    },
    surroundings,
  );
}

function cancelCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('cancel')
    .description('cancel a maintenance job')
    .argument('<job>', 'its id as `admin jobs` has it', notEmpty);
  return withOutputOptions(command, defaults).action(
    async (jobId: string, options: OutputOptions) => {
      const caller = { name: 'admin', options, defaults, shell, explain };
      await callService(AdminService, caller, async (client) => {
        const message = jobOf(await client.cancelMaintenanceJob({ jobId }));
        const shown = options.json ? undefined : () => ({ text: `${endText(message)}\n` });
        await printAnswer(shell, { schema, message }, shown);
      });
    },
  );
}

/** The commands, in the order of the help. */
export const maintenanceCommands: readonly ((surroundings: Surroundings) => Command)[] = [
  vacuumCommand,
  analyzeCommand,
  reindexCommand,
  jobsCommand,
  cancelCommand,
];
