/** `stowage rm`: deletes objects softly, takes deletions back, or removes for good. */

import { Command, Option } from 'commander';
import { StorageService } from '../client/index.js';
import { callService, failedExitCode } from './call.js';
import { canAsk, confirm } from './confirm.js';
import type { ClientDefaults } from './connection.js';
import { type StorageClient, withLongWork } from './objects/long-work.js';
import { notEmpty, withObjectOptions } from './options.js';
import { jsonText, print, type Shell } from './output.js';
import { deleteFolders, deleteKeys, wouldDeleteFolders, wouldDeleteKeys } from './rm/delete.js';
import { purgeFolders, wouldPurge } from './rm/purge.js';
import type { Failure, Removal, RemoveOptions } from './rm/removal.js';
import { undoFolders, undoKeys } from './rm/undo.js';
import { formatPlural } from './scan/format.js';
import { escapeText, keyPrefix } from './scan/names.js';
import { interruptedExitCode } from './stop-signal.js';

/** What a way to remove does, and how it is told. */
interface Way {
  readonly act: (removal: Removal) => Promise<void>;
  /** Behind "1,200 objects". */
  readonly done: string;
  /** The key of the count in JSON. */
  readonly member: string;
  /** Whether it only tells. */
  readonly isDry: boolean;
}

function wayOf({ recursive, undo, purge, dryRun: isDry }: RemoveOptions): Way {
  if (undo) {
    const act = recursive ? undoFolders : undoKeys;
    return { act, done: 'taken back', member: 'undeleted', isDry };
  }
  if (purge) {
    const done = isDry ? 'would be removed for good' : 'removed for good';
    return { act: isDry ? wouldPurge : purgeFolders, done, member: 'purged', isDry };
  }
  const act = recursive ? deleteFolders : deleteKeys;
  const wouldAct = recursive ? wouldDeleteFolders : wouldDeleteKeys;
  return isDry
    ? { act: wouldAct, done: 'would be deleted', member: 'deleted', isDry }
    : { act, done: 'deleted', member: 'deleted', isDry };
}

const goOn = 'The same command goes on with the rest.';

interface Done {
  readonly count: number;
  readonly failures: readonly Failure[];
  readonly isInterrupted: boolean;
}

interface Request {
  readonly client: StorageClient;
  readonly names: readonly string[];
  readonly options: RemoveOptions;
  readonly shell: Shell;
  /** What a failure leaves, in a sentence; undefined where that is nothing. */
  left?: string;
}

function run(way: Way, request: Request): Promise<Done> {
  const { options, shell } = request;
  const names = { command: 'rm', done: way.done, server: options.server, shell };
  return withLongWork(names, async (work) => {
    const removal: Removal = { ...request, work, count: 0, failures: [], isCut: false };
    await way.act(removal).catch((error: unknown) => {
      const { count } = removal;
      if (count > 0 && !way.isDry) request.left = `${objects(count)} ${way.done} before that.`;
      throw error;
    });
    const { count, failures, isCut } = removal;
    return { count, failures, isInterrupted: isCut };
  });
}

const objects = (count: number): string => formatPlural(count, 'object', 'objects');

function failureLine({ name, reason }: Failure, options: RemoveOptions): string {
  const { undo, purge, force, recursive } = options;
  const escaped = escapeText(name);
  const state = undo || (purge && !force) ? ' that is deleted' : '';
  const sentence =
    reason === 'ALREADY_EXISTS'
      ? `${escaped} is not deleted`
      : recursive
        ? `nothing${state} is under ${escaped}`
        : `there is no ${escaped}${state}`;
  return `stowage rm: ${reason}: ${sentence}\n`;
}

async function tell(way: Way, done: Done, { options, shell }: Request): Promise<number> {
  const { count, failures, isInterrupted } = done;
  const json = {
    [way.member]: count,
    dry_run: options.dryRun,
    failures: failures.map(({ name, reason }) => ({ name, reason })),
    interrupted: isInterrupted,
  };
  const text = options.json ? jsonText(json, 2) : `${objects(count)} ${way.done}`;
  await print(shell.stdout, `${text}\n`);
  if (!options.force) {
    await print(shell.stderr, failures.map((each) => failureLine(each, options)).join(''));
  }
  if (isInterrupted) {
    shell.stderr.write(`Stopped before the end. ${goOn}\n`);
    return interruptedExitCode;
  }
  return failures.length > 0 && !options.force ? failedExitCode : 0;
}

async function remove(request: Request): Promise<number> {
  const { options, shell } = request;
  const way = wayOf(options);
  if (options.purge && !options.dryRun && !options.yes) {
    const found = await run(wayOf({ ...options, dryRun: true }), request);
    const { count } = found;
    // Nothing was asked for what comes into being after the count, so nothing of it is removed.
    if (count === 0 || found.isInterrupted) return tell(way, { ...found, count: 0 }, request);
    const state = options.force ? '' : ' deleted';
    const what = count === 1 ? `1${state} object` : objects(count).replace(' ', `${state} `);
    const place = `under ${request.names.map(escapeText).join(', ')} in project ${options.project}`;
    if (!(await confirm(shell, `Remove ${what} ${place} and all versions for good?`))) {
      shell.stderr.write('Nothing is removed.\n');
      return failedExitCode;
    }
  }
  return tell(way, await run(way, request), request);
}

/** Why these options do not go together; undefined where they do. */
function unfitOptions(options: RemoveOptions, shell: Shell): string | undefined {
  const { purge, recursive, dryRun, yes } = options;
  if (purge && !recursive) return '--purge removes all below a folder: add --recursive';
  if (purge && !dryRun && !yes && !canAsk(shell)) {
    return '--purge cannot be undone: add --yes where nobody can be asked';
  }
  return undefined;
}

const help = `
With --recursive names are folders: photos is photos/, and leaves photos-old/
alone. What is deleted is kept until it is purged: "rm --undo KEY" takes it
back, and "rm -r --purge FOLDER" removes for good what is deleted below it; with
--force what lives, too.
Exit codes: 0 done, 1 failed or not there, 2 usage, 130 interrupted.`;

/** The command; `defaults` come from the environment. */
export function rmCommand(defaults: ClientDefaults, shell: Shell = process): Command {
  const command = new Command('rm')
    .description('delete objects; take deletions back; purge')
    .argument('<name...>', 'keys, or with --recursive folders', (name, before: string[] = []) => [
      ...before,
      notEmpty(name),
    ])
    .option('-r, --recursive', 'all below these folders', false)
    .option('-f, --force', 'what is not there is no failure', false)
    .addOption(
      new Option('-n, --dry-run', 'tell what would be done').default(false).conflicts('undo'),
    )
    .option('--undo', 'take deletions back', false)
    .addOption(new Option('--purge', 'remove for good').default(false).conflicts('undo'))
    .option('-y, --yes', 'purge without being asked', false)
    .addHelpText('after', help);
  return withObjectOptions(command, defaults).action(
    async (given: string[], options: RemoveOptions) => {
      const unfit = unfitOptions(options, shell);
      if (unfit !== undefined) command.error(`error: ${unfit}`);
      const names = [...new Set(options.recursive ? given.map(keyPrefix) : given)];
      let request: Request | undefined;
      const explain = () => (request?.left === undefined ? [] : [request.left, goOn]);
      const caller = { name: 'rm', options, defaults, shell, explain };
      await callService(StorageService, caller, async (client) => {
        request = { client, names, options, shell };
        shell.exitCode = await remove(request);
      });
    },
  );
}
