/** `stowage audit retain`: removes what is older than so many days, of all projects. */

import { Command, Option } from 'commander';
import {
  type ApplyRetentionResponse,
  ApplyRetentionResponseSchema,
  AuditService,
  type CallError,
  type Client,
  lostConnection,
  type RetentionStep,
  type RetentionSummary,
} from '../../client/index.js';
import { callService, failedExitCode, type Surroundings } from '../call.js';
import { exactTime } from '../cells.js';
import { canAsk, confirm } from '../confirm.js';
import { wholeNumber } from '../connection.js';
import { type OutputOptions, withOutputOptions } from '../options.js';
import { print, type Shell } from '../output.js';
import { jsonLines } from '../pages.js';
import { formatBytes, formatCount, formatPlural } from '../scan/format.js';
import { escapeText } from '../scan/names.js';
import { createStatusLine } from '../status-line.js';
import { interruptedExitCode, stopOnSignal } from '../stop-signal.js';
import { sources } from './partitions.js';

interface RetainOptions extends OutputOptions {
  readonly days: number;
  readonly source: 'audit' | 'hooks';
  readonly dryRun: boolean;
  readonly force: boolean;
  readonly confirm: boolean;
  readonly yes: boolean;
}

type AuditClient = Client<typeof AuditService>;

const nouns = { audit: 'audit events', hooks: 'hook executions' } as const;

const rowsText = (rows: bigint) => formatPlural(rows, 'row', 'rows');

/** A dropped partition in a sentence; deleted rows of one are told when all of them are. */
function droppedLine({ partition, rows, bytes }: RetentionStep, isDry: boolean): string {
  const done = isDry ? 'would be dropped' : 'dropped';
  return `${escapeText(partition)} ${done}: ~${rowsText(rows)}, ${formatBytes(bytes)}\n`;
}

function summaryText(summary: RetentionSummary, { source }: RetainOptions): string {
  const { before, partitionsDropped, rowsDropped, rowsDeleted, bytesDropped, dryRun } = summary;
  const is = dryRun ? 'would be' : 'are';
  const all = `All ${nouns[source]} of all projects from before ${exactTime(before)} ${is} gone:`;
  const partitions = formatPlural(partitionsDropped, 'partition', 'partitions');
  const dropped = `${partitions} dropped (~${rowsText(rowsDropped)}, ${formatBytes(bytesDropped)})`;
  return `${all}\n${dropped}, ${rowsText(rowsDeleted)} deleted.\n`;
}

/** What is told of a run. */
interface Run {
  readonly client: AuditClient;
  readonly options: RetainOptions;
  readonly shell: Shell;
}

/** Asks for it and passes on what comes. @throws {CallError} where it ends without its summary */
async function apply(
  { client, options }: Run,
  isDry: boolean,
  tell: (message: ApplyRetentionResponse) => Promise<void>,
  signal?: AbortSignal,
): Promise<RetentionSummary> {
  const { days, source, force, confirm: isMeant } = options;
  const what = { source: sources[source], retentionDays: days, force, confirm: isMeant };
  let summary: RetentionSummary | undefined;
  const call = { timeoutMs: 0, ...(signal === undefined ? {} : { signal }) };
  for await (const message of client.applyRetention({ ...what, dryRun: isDry }, call)) {
    await tell(message);
    summary = message.summary ?? summary;
  }
  if (summary === undefined) throw lostConnection('the retention ended without its summary');
  return summary;
}

/** Shows each step as it is done, and how many rows are deleted on a line that changes. */
async function applyShown(run: Run, isDry: boolean): Promise<void> {
  const { options, shell } = run;
  const line = createStatusLine(shell.stderr, 'audit');
  const stop = stopOnSignal(() => line.note('stopping behind this step'));
  let deleted = 0n;
  const tell = async (message: ApplyRetentionResponse): Promise<void> => {
    if (options.json) {
      await print(shell.stdout, jsonLines(ApplyRetentionResponseSchema, [message]));
      return;
    }
    const { step } = message;
    if (step?.dropped === true) {
      line.stop();
      await print(shell.stdout, droppedLine(step, isDry));
    } else if (step !== undefined) {
      deleted += step.rows;
      line.show(`${formatCount(deleted)} rows of ${escapeText(step.partition)} deleted`);
    }
  };
  try {
    const summary = await apply(run, isDry, tell, stop.signal);
    line.stop();
    if (!options.json) await print(shell.stdout, summaryText(summary, options));
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    shell.exitCode = interruptedExitCode;
    line.stop();
    shell.stderr.write('Stopped before the end. The same command goes on with the rest.\n');
  } finally {
    line.stop();
    stop.release();
  }
}

async function retain(run: Run): Promise<void> {
  const { options, shell } = run;
  if (options.dryRun || options.yes) return applyShown(run, options.dryRun);
  const found = await apply(run, true, async () => undefined);
  const { partitionsDropped, rowsDropped, bytesDropped, rowsDeleted } = found;
  if (partitionsDropped === 0 && rowsDeleted === 0n) {
    await print(shell.stdout, `Nothing is from before ${exactTime(found.before)}.\n`);
    return;
  }
  const partitions = formatPlural(partitionsDropped, 'partition', 'partitions');
  const parts = [
    ...(partitionsDropped > 0
      ? [`${partitions} (~${rowsText(rowsDropped)}, ${formatBytes(bytesDropped)})`]
      : []),
    ...(rowsDeleted > 0n ? [`${rowsText(rowsDeleted)} of another`] : []),
  ];
  const before = `from before ${exactTime(found.before)}`;
  const what = `${nouns[options.source]} of all projects ${before}: ${parts.join(' and ')}`;
  if (await confirm(shell, `Remove ${what}, for good?`)) return applyShown(run, false);
  shell.stderr.write('Nothing is removed.\n');
  shell.exitCode = failedExitCode;
}

/** What to do about a failure. */
function explain({ reason, retry }: CallError): readonly string[] {
  if (reason === 'EXPORT_IN_PROGRESS') {
    return ['Wait for the export, or --force removes what it needs: it fails then.'];
  }
  return retry === 'never' && reason !== undefined
    ? []
    : ['What is removed is removed. The same command goes on with the rest.'];
}

function unfitOptions({ days, confirm: isMeant, dryRun, yes, json }: RetainOptions, shell: Shell) {
  if (days === 0 && !isMeant) return '--days 0 keeps today alone: add --confirm';
  if (!dryRun && !yes && (json || !canAsk(shell))) {
    return 'what is removed is gone: add --yes where nobody is asked, or --dry-run';
  }
  return undefined;
}

/** Makes the sub-command. */
export function retainCommand({ defaults, shell }: Surroundings): Command {
  const days = new Option('--days <count>', 'whole days (UTC) that are kept beside today');
  const source = new Option('--source <table>', 'audit events or executions of hooks');
  const command = new Command('retain')
    .description('remove what is older than so many days, of all projects')
    .addOption(days.argParser(wholeNumber(0, 36_500)).makeOptionMandatory())
    .addOption(source.choices(['audit', 'hooks']).default('audit'))
    .option('-n, --dry-run', 'tell what would go', false)
    .option('--force', 'what running exports need, too: they fail', false)
    .option('--confirm', 'with --days 0: this is meant', false)
    .option('-y, --yes', 'remove without being asked', false);
  return withOutputOptions(command, defaults).action(async (options: RetainOptions) => {
    const unfit = unfitOptions(options, shell);
    if (unfit !== undefined) command.error(`error: ${unfit}`);
    const caller = { name: 'audit', options, defaults, shell, explain };
    await callService(AuditService, caller, (client) => retain({ client, options, shell }));
  });
}
