/** `stowage version prune`: deletes old versions for good, by number and by age. */

import { randomUUID } from 'node:crypto';
import { Command, Option } from 'commander';
import { type Client, type PruneVersionsResponse, VersionService } from '../../client/index.js';
import { callService, failedExitCode, type Surroundings } from '../call.js';
import { exactTime } from '../cells.js';
import { canAsk, confirm } from '../confirm.js';
import { wholeNumber } from '../connection.js';
import { withLongWork } from '../objects/long-work.js';
import { notEmpty, type ObjectOptions, withObjectOptions } from '../options.js';
import { jsonText, print, type Shell } from '../output.js';
import { formatBytes, formatPlural } from '../scan/format.js';
import { escapeText } from '../scan/names.js';
import { interruptedExitCode } from '../stop-signal.js';
import { type PointInTime, pointInTime, timeForms } from '../times.js';

interface PruneOptions extends ObjectOptions {
  readonly prefix?: string;
  readonly keep?: number;
  readonly before?: PointInTime;
  readonly dryRun: boolean;
  readonly yes: boolean;
}

/** What is pruned, and what came of it so far. */
interface Prune {
  readonly client: Client<typeof VersionService>;
  readonly key: string;
  readonly options: PruneOptions;
  readonly shell: Shell;
  readonly done: { versions: bigint; objects: bigint; bytes: bigint };
}

const versionsText = (count: bigint): string => formatPlural(count, 'version', 'versions');

function requestOf({ key: objectKey, options }: Prune) {
  const { project, prefix = '', keep: keepNewest = 0, before } = options;
  const createdBefore = before === undefined ? {} : { createdBefore: before.time };
  return { project, objectKey, prefix, keepNewest, ...createdBefore };
}

/** Of which keys, and which of them, in words. */
function placeOf({ key, options }: Prune): string {
  const { project, prefix, keep, before } = options;
  const under = prefix === undefined ? 'all keys' : `keys that begin with ${escapeText(prefix)}`;
  const rules = [
    ...(keep === undefined ? [] : [`not among the newest ${keep} of their object`]),
    ...(before === undefined ? [] : [`recorded before ${exactTime(before.time)}`]),
  ];
  const keys = key === '' ? under : escapeText(key);
  return `${keys} in project ${project}, ${rules.join(' and ')}`;
}

/** Counts on the primary what would be deleted. */
async function wouldPrune(prune: Prune): Promise<PruneVersionsResponse> {
  return prune.client.pruneVersions({ ...requestOf(prune), dryRun: true });
}

/** Deletes, a commit after another; answers whether it came to its end. */
function pruneAll(prune: Prune): Promise<boolean> {
  const { client, options, shell, done } = prune;
  const names = { command: 'version', done: 'deleted', server: options.server, shell };
  return withLongWork(names, async (work) => {
    for (let resumeToken = ''; ; ) {
      const request = { ...requestOf(prune), requestId: randomUUID(), resumeToken };
      const answer = await work.call((call) => client.pruneVersions(request, call));
      done.versions += answer.versions;
      done.objects += answer.objects;
      done.bytes += answer.bytes;
      work.counter.show(Number(done.versions));
      if (!answer.more) return true;
      if (work.isStopped) return false;
      resumeToken = answer.resumeToken;
    }
  });
}

async function tell({ options, shell, done }: Prune, isDry: boolean, isWhole: boolean) {
  const { versions, objects, bytes } = done;
  const counts = { versions: Number(versions), bytes: Number(bytes) };
  const json = { ...counts, dry_run: isDry, interrupted: !isWhole };
  const of = isDry ? ` of ${formatPlural(objects, 'object', 'objects')}` : '';
  const verb = isDry ? 'would be deleted' : 'deleted';
  const sentence = `${versionsText(versions)}${of} ${verb} (${formatBytes(bytes)} of content)`;
  await print(shell.stdout, `${options.json ? jsonText(json, 2) : sentence}\n`);
}

async function prune(run: Prune): Promise<void> {
  const { options, shell, done } = run;
  if (options.dryRun || !options.yes) {
    const found = await wouldPrune(run);
    if (options.dryRun || found.versions === 0n) {
      Object.assign(done, found);
      await tell(run, true, true);
      return;
    }
    const objects = formatPlural(found.objects, 'object', 'objects');
    const what = `${versionsText(found.versions)} of ${objects}: of ${placeOf(run)}`;
    if (!(await confirm(shell, `Delete ${what}, for good?`))) {
      shell.stderr.write('Nothing is deleted.\n');
      shell.exitCode = failedExitCode;
      return;
    }
  }
  const isWhole = await pruneAll(run);
  await tell(run, false, isWhole);
  if (isWhole) return;
  shell.stderr.write('Stopped before the end. The same command goes on with the rest.\n');
  shell.exitCode = interruptedExitCode;
}

function unfitOptions(key: string, options: PruneOptions, shell: Shell): string | undefined {
  const { keep, before, prefix, dryRun, yes } = options;
  if (keep === undefined && before === undefined) return '--keep or --before says which';
  if (key !== '' && prefix !== undefined) return 'a key and --prefix do not go together';
  if (!dryRun && !yes && !canAsk(shell)) {
    return 'it cannot be undone: add --yes where nobody can be asked';
  }
  return undefined;
}

/** What a failure leaves. */
function explain(run: Prune | undefined): readonly string[] {
  const versions = run?.done.versions ?? 0n;
  if (versions === 0n) return [];
  const were = formatPlural(versions, 'version was', 'versions were');
  return [`${were} deleted before that. The same command goes on with the rest.`];
}

/** Makes the sub-command. */
export function pruneCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('prune')
    .description('delete old ones, by number and age')
    .argument('[key]', 'only of this object', '')
    .option('--prefix <prefix>', 'only of keys that begin with this', notEmpty)
    .addOption(
      new Option('--keep <count>', 'not the newest so many of each object').argParser(
        wholeNumber(1, 10_000),
      ),
    )
    .option('--before <time>', `only what was recorded before this: ${timeForms}`, pointInTime)
    .option('-n, --dry-run', 'tell what would be deleted', false)
    .option('-y, --yes', 'delete without being asked', false)
    .addHelpText('after', '\nThe latest version of an object is never deleted.');
  return withObjectOptions(command, defaults).action(async (key: string, options: PruneOptions) => {
    const unfit = unfitOptions(key, options, shell);
    if (unfit !== undefined) command.error(`error: ${unfit}`);
    let run: Prune | undefined;
    const caller = {
      ...{ name: 'version', options, defaults, shell },
      explain: () => explain(run),
    };
    await callService(VersionService, caller, async (client) => {
      const done = { versions: 0n, objects: 0n, bytes: 0n };
      run = { client, key, options, shell, done };
      await prune(run);
    });
  });
}
