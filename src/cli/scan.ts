/** `stowage scan DIR`: records a directory tree in a running server. */

import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { createClient, StorageService } from '../client/index.js';
import {
  type ClientDefaults,
  type ConnectionOptions,
  connect,
  describeFailure,
  wholeNumber,
  withConnectionOptions,
} from './connection.js';
import { notEmpty } from './options.js';
import { createRetryNotes } from './retry-notes.js';
import { escapeText, keyPrefix } from './scan/names.js';
import { createProgress, type Progress } from './scan/progress.js';
import { createJsonReport, createTextReport, type Report } from './scan/report.js';
import { runScan, type ScanResult } from './scan/run.js';
import { countFiles } from './scan/walk.js';
import { interruptedExitCode, stopOnSignal } from './stop-signal.js';

interface ScanCommandOptions extends ConnectionOptions {
  readonly project: string;
  readonly prefix: string;
  readonly backend: string;
  readonly checksum: boolean;
  readonly delete: boolean;
  readonly json: boolean;
  readonly concurrency: number;
  readonly batch: number;
}

/** What a scan's exit code says. */
const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  skippedByError: 3,
  interrupted: interruptedExitCode,
} as const;

function exitCodeOf(result: ScanResult): number {
  if (result.isInterrupted) return exitCodes.interrupted;
  return result.tally.skippedByError > 0 ? exitCodes.skippedByError : exitCodes.done;
}

/** Why the argument is no directory; undefined where it is one. */
function unfitDirectory(directory: string, isDeleting: boolean): string | undefined {
  try {
    if (!statSync(directory).isDirectory()) return `${directory} is not a directory`;
    // An empty mount point looks just so, and every record under the prefix would be deleted.
    const isEmpty = isDeleting && readdirSync(directory).length === 0;
    return isEmpty ? `${directory} is empty: --delete needs a tree that is there` : undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

interface Run {
  readonly root: Buffer;
  readonly options: ScanCommandOptions;
  readonly defaults: ClientDefaults;
  readonly progress: Progress;
  readonly report: Report;
}

async function scanWithProgress(run: Run, stop: AbortSignal): Promise<ScanResult> {
  const { root, options, defaults, progress, report } = run;
  const transport = connect(options, defaults);
  const counting = new AbortController();
  try {
    return await runScan(createClient(StorageService, transport), {
      root,
      prefix: options.prefix,
      project: options.project,
      backend: options.backend,
      checksum: options.checksum,
      delete: options.delete,
      concurrency: options.concurrency,
      batchSizeMax: options.batch,
      stop,
      onStart: (tally) => {
        progress.start(tally);
        void countFiles(root, counting.signal).then((files) => progress.setTotal(files));
      },
      onSkip: (skip) => report.skip(skip),
      onMissing: (key, isDeleted) => report.missing(key, isDeleted),
      onRetry: createRetryNotes(options.server, (sentence) => progress.note(sentence)),
    });
  } finally {
    counting.abort();
    progress.stop();
    transport.close();
  }
}

async function scan(run: Run): Promise<number> {
  const { options, progress, report } = run;
  const { signal, release } = stopOnSignal(() => {
    progress.note('stopping: what is digested is sent; once more to leave at once');
  });
  const startedMs = performance.now();
  const seconds = (): number => (performance.now() - startedMs) / 1000;
  try {
    const result = await scanWithProgress(run, signal);
    const exitCode = exitCodeOf(result);
    await report.end(result, seconds(), exitCode);
    if (result.isInterrupted) {
      console.error('Stopped before the end. The same command goes on where this one stopped.');
    }
    return exitCode;
  } catch (error) {
    const exitCode = signal.aborted ? exitCodes.interrupted : exitCodes.failed;
    await report.end(undefined, seconds(), exitCode);
    console.error(`stowage scan: ${describeFailure(error, options.server)}`);
    console.error('What was acknowledged before stays recorded. The same command goes on there.');
    return exitCode;
  } finally {
    release();
  }
}

async function runCommand(
  directory: string,
  given: ScanCommandOptions,
  defaults: ClientDefaults,
): Promise<number> {
  const unfit = unfitDirectory(directory, given.delete);
  if (unfit !== undefined) {
    console.error(`stowage scan: ${escapeText(unfit)}`);
    return exitCodes.usage;
  }
  const options = { ...given, prefix: keyPrefix(given.prefix) };
  const root = Buffer.from(path.resolve(directory));
  const context = { ...options, root };
  const report = options.json
    ? createJsonReport(process.stdout, context)
    : createTextReport(process.stdout, context);
  const progress = createProgress(process.stderr);
  return scan({ root, options, defaults, progress, report });
}

/** The command; `defaults` come from the environment. */
export function scanCommand(defaults: ClientDefaults): Command {
  const command = new Command('scan')
    .description('record a directory tree: each file becomes an object, links are not followed')
    .argument('<dir>', 'the directory; keys are the paths below it')
    .option('--project <id>', 'the project', 'default')
    .option('--prefix <prefix>', 'what every key begins with; a slash is added behind it', '')
    // An empty name would list, and with `--delete` delete, the records of every backend.
    .option('--backend <name>', 'the storage backend to record', notEmpty, 'local')
    .option('--checksum', 'digest files too that have the recorded size and time', false)
    .option('--delete', 'delete the records under the prefix whose files are missing', false)
    .option('--json', 'print the result as one JSON document', false)
    .option('--concurrency <count>', 'files digested at once', wholeNumber(1, 64), 4)
    .option('--batch <count>', 'objects a commit at most', wholeNumber(1, 1000), 1000)
    .addHelpText(
      'after',
      '\nExit codes: 0 all recorded, 1 failed, 2 usage, 3 some files could not be recorded,' +
        ' 130 interrupted.',
    );
  return withConnectionOptions(command, defaults).action(
    async (directory: string, options: ScanCommandOptions) => {
      process.exitCode = await runCommand(directory, options, defaults);
    },
  );
}
