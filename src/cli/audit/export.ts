/** `stowage audit export`: events as NDJSON, through every break of the stream, checked. */

import { crc32 } from 'node:zlib';
import { create, fromJson, toJson } from '@bufbuild/protobuf';
import { Command } from 'commander';
import {
  AuditEventSchema,
  AuditFilterSchema,
  AuditService,
  type CallError,
  type Client,
  type ExportEventsResponse,
  itemBytesOf,
  lostConnection,
  type StreamSummary,
} from '../../client/index.js';
import { canonicalJson } from '../../lib/canonical-json.js';
import { callService, type Surroundings, strong } from '../call.js';
import { notEmpty, withObjectOptions } from '../options.js';
import { jsonText, print, type Shell } from '../output.js';
import { jsonLines } from '../pages.js';
import { createRetryNotes } from '../retry-notes.js';
import { Patience } from '../scan/backoff.js';
import { formatBytes, formatCount, formatPlural } from '../scan/format.js';
import { escapeText } from '../scan/names.js';
import { createStatusLine } from '../status-line.js';
import { interruptedExitCode, stopOnSignal } from '../stop-signal.js';
import {
  type Asked,
  emptyTally,
  type OpenedFile,
  openExportFile,
  outputTarget,
  type Tally,
  type Target,
} from './export-file.js';
import { type FilterOptions, filterOf, withFilter } from './filter.js';

interface ExportOptions extends FilterOptions {
  readonly restart: boolean;
}

type AuditClient = Client<typeof AuditService>;

/** An export under way. */
interface Export {
  readonly target: Target;
  readonly request: Parameters<AuditClient['exportEvents']>[0];
  readonly signal: AbortSignal;
  readonly patience: Patience;
  readonly onProgress: (tally: Tally) => void;
  tally: Tally;
}

/** As the service told it. @throws {Error} where the items are not those that were sent */
function checkPart(message: ExportEventsResponse, bytes: Uint8Array): void {
  if (message.events.length > 0 && crc32(bytes) !== message.crc32) {
    throw new Error('a part of the stream came with another checksum than its own');
  }
}

function checkWhole({ items, bytes, crc32: sum }: StreamSummary, tally: Tally): void {
  const isWhole =
    items === BigInt(tally.items) && bytes === BigInt(tally.itemBytes) && sum === tally.crc32;
  if (isWhole) return;
  const difference = `${tally.items} events came, ${items} were sent`;
  throw new Error(`the export is not what its summary says: ${difference}, or others`);
}

async function take(run: Export, message: ExportEventsResponse): Promise<void> {
  const { target, tally } = run;
  const bytes = itemBytesOf(message);
  checkPart(message, bytes);
  const text = jsonLines(AuditEventSchema, message.events);
  await target.write(text);
  run.tally = {
    resumeToken: message.resumeToken === '' ? tally.resumeToken : message.resumeToken,
    items: tally.items + message.events.length,
    itemBytes: tally.itemBytes + bytes.length,
    crc32: crc32(bytes, tally.crc32),
    bytes: tally.bytes + Buffer.byteLength(text),
  };
  await target.reached(run.tally, false);
  run.onProgress(run.tally);
}

/** Takes all that is left, through every break. @throws what does not pass */
async function exportAll(client: AuditClient, run: Export): Promise<void> {
  const { request, signal, patience } = run;
  for (;;) {
    let summary: StreamSummary | undefined;
    try {
      const { resumeToken } = run.tally;
      for await (const message of client.exportEvents({ ...request, resumeToken }, { signal })) {
        patience.progress();
        await take(run, message);
        summary = message.summary ?? summary;
      }
      if (summary === undefined) throw lostConnection('the export ended without its summary');
    } catch (error) {
      await patience.waitOut(error);
      continue;
    }
    checkWhole(summary, run.tally);
    return;
  }
}

function askedOf(options: ExportOptions): Asked {
  const { project, since, until } = options;
  const filter = toJson(AuditFilterSchema, create(AuditFilterSchema, filterOf(options)));
  const { startTime: _since, endTime: _until, ...rest } = filter as Record<string, string>;
  const times = { since: since?.text ?? '', until: until?.text ?? '' };
  return { given: canonicalJson({ project, ...times, filter: rest }), filter };
}

function openTarget(file: string, options: ExportOptions, shell: Shell): Promise<OpenedFile> {
  const asked = askedOf(options);
  if (file !== '-') return openExportFile(file, asked, options.restart);
  const target = outputTarget(shell.stdout);
  const nothing = { tally: emptyTally, filter: asked.filter, canGoOn: false };
  return Promise.resolve({ target, ...nothing });
}

/** `1,200,000 events, 350.0 MiB, 45,000 events/s`; the pace is that of this run. */
function paceOf(before: Tally): (tally: Tally) => string {
  const startedMs = performance.now();
  return ({ items, bytes }) => {
    const seconds = Math.max(0.001, (performance.now() - startedMs) / 1000);
    const pace = `${formatCount((items - before.items) / seconds)} events/s`;
    return [formatPlural(items, 'event', 'events'), formatBytes(bytes), pace].join(', ');
  };
}

async function tell(file: string, { items, bytes }: Tally, json: boolean, shell: Shell) {
  if (file === '-') return;
  const events = formatPlural(items, 'event', 'events');
  const sentence = `${events} exported to ${escapeText(file)} (${formatBytes(bytes)})`;
  await print(shell.stdout, `${json ? jsonText({ file, events: items, bytes }) : sentence}\n`);
}

const goOn = 'The same command goes on where this one stopped, for some minutes.';

/** What a run leaves. */
interface Left {
  canGoOn: boolean;
}

/** What a failure leaves of a file. */
function explain(file: string, left: Left, { retry, reason }: CallError): readonly string[] {
  if (!left.canGoOn) return [];
  const isOver = retry === 'begin_again' || reason === 'RESUME_TOKEN_MISMATCH';
  if (isOver) return [`${escapeText(file)}.part cannot be finished: --restart begins anew.`];
  return reason === undefined || retry !== 'never' ? [goOn] : [];
}

async function exportTo(
  client: AuditClient,
  file: string,
  options: ExportOptions,
  { shell, left }: { readonly shell: Shell; readonly left: Left },
): Promise<void> {
  const { project, json, server } = options;
  const opened = await openTarget(file, options, shell);
  const { target, tally } = opened;
  const line = createStatusLine(shell.stderr, 'audit');
  const stop = stopOnSignal(() => line.note('stopping; once more to leave at once'));
  const { signal } = stop;
  const onRetry = createRetryNotes(server, line.note);
  const describe = paceOf(tally);
  const run: Export = {
    target,
    request: { project, filter: fromJson(AuditFilterSchema, opened.filter), freshness: strong },
    signal,
    patience: new Patience({ signal, firstMsMax: 2_000, onRetry }),
    onProgress: (reached) => line.show(describe(reached)),
    tally,
  };
  if (tally.items > 0) line.note(`going on behind ${formatPlural(tally.items, 'event', 'events')}`);
  try {
    await exportAll(client, run);
    await target.finish();
  } catch (error) {
    await target.reached(run.tally, true);
    left.canGoOn = run.tally.resumeToken !== '' && opened.canGoOn;
    if (!signal.aborted) throw error;
    shell.exitCode = interruptedExitCode;
    line.stop();
    shell.stderr.write(`Stopped before the end.${left.canGoOn ? ` ${goOn}` : ''}\n`);
    return;
  } finally {
    await target.close();
    line.stop();
    stop.release();
  }
  await tell(file, run.tally, json, shell);
}

/** Makes the sub-command. */
export function exportCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('export')
    .description('write events to a file, a JSON document a line, as they were at the beginning')
    .argument('<file>', 'the file, or - for standard output', notEmpty)
    .option('--restart', 'begin anew where the same command stopped before', false)
    .addHelpText(
      'after',
      '\nFILE is there once it is whole. Until then FILE.part grows, and FILE.resume' +
        '\nsays how the same command goes on. A device or a pipe is written as it is.' +
        '\nExit codes: 0 exported and checked, 1 failed, 2 usage, 130 interrupted.',
    );
  return withObjectOptions(withFilter(command), defaults).action(
    async (file: string, options: ExportOptions) => {
      const left: Left = { canGoOn: false };
      const caller = {
        ...{ name: 'audit', options, defaults, shell },
        explain: (error: CallError) => explain(file, left, error),
      };
      await callService(AuditService, caller, (client) =>
        exportTo(client, file, options, { shell, left }),
      );
    },
  );
}
