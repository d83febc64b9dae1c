/**
 * What a scan says at its end: sentences for a person with the first findings of each kind, or one
 * JSON document with all of them, written as they come so that none are kept.
 */

import { jsonText, type Output, print } from '../output.js';
import { formatBytes, formatCount, formatPlural, formatSeconds } from './format.js';
import { escapePath, escapeText, nameText } from './names.js';
import type { ScanResult } from './run.js';
import { type Skip, skipTable } from './skips.js';

/** What is known about a scan besides its result. */
export interface ReportContext {
  readonly root: Buffer;
  readonly server: string;
  readonly project: string;
  readonly prefix: string;
  readonly backend: string;
}

/** Takes findings as they come and says the end. */
export interface Report {
  skip(skip: Skip): Promise<void>;
  missing(key: string, isDeleted: boolean): Promise<void>;
  /** The last word; `undefined` where the scan failed. */
  end(result: ScanResult | undefined, seconds: number, exitCode: number): Promise<void>;
}

/** The path below the root; the root's own bytes say nothing that the caller does not know. */
function belowRoot(root: Buffer, path: Buffer): Buffer {
  const rootBytes = root.length + 1;
  return path.length > rootBytes ? path.subarray(rootBytes) : path;
}

/** A long path by its two ends. */
function shorten(path: string): string {
  return path.length <= 160 ? path : `${path.slice(0, 100)}...${path.slice(-50)}`;
}

/** Findings of a kind that a person is shown. */
const shownMax = 20;

class FirstFew {
  readonly lines: string[] = [];
  count = 0;

  add(line: () => string): void {
    this.count += 1;
    if (this.lines.length < shownMax) this.lines.push(`  ${line()}\n`);
  }

  describe(title: string): string {
    const more = this.count - this.lines.length;
    const rest = more === 0 ? '' : `  and ${formatCount(more)} more: --json lists them all\n`;
    return this.count === 0 ? '' : `${title}:\n${this.lines.join('')}${rest}`;
  }
}

function describeResult({ tally, recorded }: ScanResult, seconds: number): string {
  const unchanged = tally.unchanged + recorded.unchanged;
  const missing = tally.deleted === 0 ? '' : ` (${formatCount(tally.deleted)} deleted)`;
  const hidden = `${formatPlural(tally.hidden, 'record', 'records')} left alone: not readable`;
  const counts = [
    `${formatCount(recorded.created)} added`,
    `${formatCount(recorded.updated)} changed`,
    `${formatCount(unchanged)} unchanged`,
    `${formatCount(tally.missing)} missing${missing}`,
    `${formatCount(tally.skipped)} skipped`,
    ...(tally.hidden === 0 ? [] : [hidden]),
  ];
  const rate = formatCount(tally.files / Math.max(seconds, 0.001));
  const time = seconds < 10 ? `${seconds.toFixed(1)} s` : formatSeconds(seconds);
  const files = `${formatPlural(tally.files, 'file', 'files')}, ${formatBytes(tally.bytes)}`;
  const digested = `${formatBytes(tally.bytesDigested)} digested`;
  return `${counts.join(', ')}\n${files}, ${digested} in ${time}: ${rate} files/s\n`;
}

/** Sentences on `stream`. */
export function createTextReport(stream: Output, context: ReportContext): Report {
  const failed = new FirstFew();
  const skipped = new FirstFew();
  const missing = new FirstFew();
  return {
    async skip({ path, reason, detail }) {
      const { isError, sentence } = skipTable[reason];
      (isError ? failed : skipped).add(() => {
        const why = detail === undefined ? '' : ` (${detail})`;
        return `${shorten(escapePath(belowRoot(context.root, path)))}: ${sentence}${why}`;
      });
    },
    async missing(key, isDeleted) {
      missing.add(() => `${shorten(escapeText(key))}${isDeleted ? ': deleted' : ''}`);
    },
    async end(result, seconds) {
      await print(stream, failed.describe('Skipped because of an error'));
      await print(stream, skipped.describe('Skipped'));
      await print(stream, missing.describe('Recorded, but missing in the tree'));
      if (result === undefined) return;
      await print(stream, describeResult(result, seconds));
      const { missing: missingCount, deleted } = result.tally;
      if (missingCount > 0 && deleted === 0) {
        await print(stream, 'Run again with --delete to delete the records of missing files.\n');
      }
    },
  };
}

function skipJson(root: Buffer, { path: fullPath, reason, detail }: Skip): object {
  const path = belowRoot(root, fullPath);
  const text = nameText(path);
  return {
    kind: 'skipped',
    path: text ?? escapePath(path),
    // Only the bytes name such a file; its text above is for reading.
    ...(text === undefined ? { path_base64: path.toString('base64') } : {}),
    reason,
    error: skipTable[reason].isError,
    ...(detail === undefined ? {} : { detail }),
  };
}

function resultJson({ tally, recorded, isInterrupted }: ScanResult, seconds: number): object {
  return {
    added: recorded.created,
    changed: recorded.updated,
    unchanged: tally.unchanged + recorded.unchanged,
    missing: tally.missing,
    deleted: tally.deleted,
    skipped: tally.skipped,
    skipped_by_error: tally.skippedByError,
    left_alone: tally.hidden,
    files: tally.files,
    bytes: Number(tally.bytes),
    bytes_digested: tally.bytesDigested,
    seconds: Number(seconds.toFixed(3)),
    files_per_second: Number((tally.files / Math.max(seconds, 0.001)).toFixed(1)),
    interrupted: isInterrupted,
  };
}

/** One JSON document on `stream`, which must be ended for it to be whole. */
export function createJsonReport(stream: Output, context: ReportContext): Report {
  const { root, server, project, prefix, backend } = context;
  const head = { directory: escapePath(root), server, project, prefix, storage_backend: backend };
  const opening = `${jsonText(head).slice(0, -1)},"findings":[`;
  let before = opening;
  const add = async (finding: object): Promise<void> => {
    const text = `${before}\n${jsonText(finding)}`;
    before = ',';
    await print(stream, text);
  };
  return {
    skip: (skip) => add(skipJson(root, skip)),
    missing: (key, isDeleted) => add({ kind: 'missing', object_key: key, deleted: isDeleted }),
    async end(result, seconds, exitCode) {
      const counts = result === undefined ? {} : resultJson(result, seconds);
      const tail = jsonText({ ...counts, exit_code: exitCode }).slice(1);
      await print(stream, `${before === opening ? opening : ''}],${tail}\n`);
    },
  };
}
