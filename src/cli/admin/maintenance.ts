/** The commands of `stowage admin` that begin, list and cancel maintenance jobs. */

import { Command } from 'commander';
import {
  AdminService,
  type CallError,
  ListMaintenanceJobsResponseSchema,
  type MaintenanceJob,
  MaintenanceJobSchema,
  MaintenanceState,
} from '../../client/index.js';
import { failedExitCode, type Surroundings } from '../call.js';
import { notEmpty, type OutputOptions, withOutputOptions } from '../options.js';
import { escapeText } from '../scan/names.js';
import { type AdminClient, jobOf, runToEnd } from './follow-job.js';
import { jobName, jobsShown, tookText } from './jobs.js';
import { callFor, explain, type Printing, printAnswer, reportCommand } from './report-command.js';

interface JobOptions extends OutputOptions {
  readonly detach: boolean;
}

/** Makes the server begin a job on what is named. */
type Begin<Options> = (
  client: AdminClient,
  name: string,
  options: Options,
) => Promise<{ readonly job?: MaintenanceJob | undefined }>;

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

/** Prints a job as JSON, or a line about it. */
function printJob(message: MaintenanceJob, printing: Printing, line: string): Promise<void> {
  return printAnswer(printing, { schema, message }, () => ({ text: `${line}\n` }));
}

/** Tells of the end; one that is not the wanted one is a failure. */
async function tellEnd(job: MaintenanceJob, printing: Printing): Promise<void> {
  const { shell, json } = printing;
  const isDone = job.state === MaintenanceState.SUCCEEDED;
  if (json || isDone) await printJob(job, printing, endText(job));
  if (isDone) return;
  shell.stderr.write(`stowage admin: ${endText(job)}\n`);
  shell.exitCode ||= failedExitCode;
}

/** What becomes of a job that is no longer waited for. */
function leftBehind(job: MaintenanceJob | undefined, { reason }: CallError): string[] {
  if (job === undefined || reason === 'MAINTENANCE_JOB_NOT_FOUND') return [];
  return ['The job is left to the server: `stowage admin jobs` shows it.'];
}

/** A sub-command that begins a job and, unless told otherwise, waits for its end. */
function jobCommand<Options extends JobOptions>(
  command: Command,
  begin: Begin<Options>,
  { defaults, shell }: Surroundings,
): Command {
  command.option('--detach', 'print the id of the job and leave it to the server', false);
  return withOutputOptions(command, defaults).action(async (name: string, options: Options) => {
    const { detach, json, server } = options;
    let begun: MaintenanceJob | undefined;
    const caller = {
      ...{ options, defaults, shell },
      explain: (error: CallError) => [...explain(error), ...leftBehind(begun, error)],
    };
    await callFor(AdminService, caller, async (client) => {
      const start = async () => {
        begun = jobOf(await begin(client, name, options));
        return begun;
      };
      if (detach) {
        const job = await start();
        await printJob(job, { shell, json }, escapeText(job.jobId));
        return;
      }
      await tellEnd(await runToEnd(start, { client, server, shell }), { shell, json });
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
      const { json } = options;
      await callFor(AdminService, { options, defaults, shell }, async (client) => {
        const job = jobOf(await client.cancelMaintenanceJob({ jobId }));
        await printJob(job, { shell, json }, endText(job));
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
