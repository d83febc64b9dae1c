/** `stowage audit verify`: reads sealed months again and names what differs from their seals. */

import { Command } from 'commander';
import {
  AuditService,
  type Client,
  type SealDifference,
  SealVerdict,
  type VerifySealsResponse,
  VerifySealsResponseSchema,
} from '../../client/index.js';
import { callService, failedExitCode, type Surroundings } from '../call.js';
import { exactTime } from '../cells.js';
import { type OutputOptions, withOutputOptions } from '../options.js';
import { print, type Shell, widthOf } from '../output.js';
import { jsonLines } from '../pages.js';
import { formatCount, formatPlural } from '../scan/format.js';
import { escapeText } from '../scan/names.js';
import { createStatusLine } from '../status-line.js';
import { interruptedExitCode, stopOnSignal } from '../stop-signal.js';
import { StreamedTable } from '../streamed-table.js';
import type { Column } from '../table.js';
import { type WindowOptions, windowOf, withWindow } from './filter.js';

type VerifyOptions = OutputOptions & WindowOptions;

const verdicts: Readonly<Record<number, string>> = {
  [SealVerdict.INTACT]: 'intact',
  [SealVerdict.DIFFERS]: 'DIFFERS',
  [SealVerdict.DROPPED]: 'dropped by retention',
  [SealVerdict.CUT]: 'cut by retention',
};

const columns: readonly Column<VerifySealsResponse>[] = [
  { title: 'MONTH', cell: ({ rangeStart }) => exactTime(rangeStart).slice(0, 7) },
  { title: 'SEALED ROWS', cell: ({ sealedRows }) => formatCount(sealedRows), align: 'right' },
  { title: 'FOUND ROWS', cell: ({ foundRows }) => formatCount(foundRows), align: 'right' },
  { title: 'SEAL', cell: ({ sealNumber }) => `${sealNumber}`, align: 'right' },
  { title: 'VERDICT', cell: ({ verdict }) => verdicts[verdict] ?? String(verdict) },
];

/** Differences of a month that a person is shown. */
const differencesShown = 20;

function differenceLine({ project, day, sealedRows, foundRows }: SealDifference): string {
  const place = `project ${escapeText(project)}, ${exactTime(day).slice(0, 10)}`;
  if (sealedRows === foundRows) {
    return `${place}: ${formatPlural(foundRows, 'row', 'rows')} as sealed, but altered`;
  }
  const sealed = `${formatPlural(sealedRows, 'row was', 'rows were')} sealed`;
  return `${place}: ${sealed}, ${formatPlural(foundRows, 'is', 'are')} there`;
}

function differenceLines({ differences }: VerifySealsResponse): readonly string[] {
  const more = differences.length - differencesShown;
  const rest = more > 0 ? [`and ${formatCount(more)} more: --json has them`] : [];
  const shown = differences.slice(0, differencesShown).map(differenceLine);
  return [...shown, ...rest].map((text) => `    ${text}`);
}

/** What was found in all. */
interface Found {
  months: number;
  differing: number;
}

async function verify(
  client: Client<typeof AuditService>,
  options: VerifyOptions,
  shell: Shell,
): Promise<Found> {
  const found: Found = { months: 0, differing: 0 };
  const below = differenceLines;
  const table = new StreamedTable(columns, { width: widthOf(shell.stdout), below });
  const line = createStatusLine(shell.stderr, 'audit');
  const stop = stopOnSignal(() => {
    shell.exitCode = interruptedExitCode;
  });
  const { signal } = stop;
  try {
    for await (const month of client.verifySeals(windowOf(options), { signal, timeoutMs: 0 })) {
      if (month.partition === '') {
        line.show(`${formatPlural(found.months, 'month', 'months')} read`);
        continue;
      }
      found.months += 1;
      if (month.verdict === SealVerdict.DIFFERS) found.differing += 1;
      line.stop();
      const text = options.json
        ? jsonLines(VerifySealsResponseSchema, [month])
        : table.lines([month]);
      await print(shell.stdout, text);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    line.stop();
    shell.stderr.write('Stopped before the end.\n');
  } finally {
    line.stop();
    stop.release();
  }
  return found;
}

function tell({ months, differing }: Found, shell: Shell): void {
  if (months === 0 && shell.exitCode !== interruptedExitCode) {
    shell.stderr.write('No month of that time is sealed.\n');
  }
  if (differing === 0) return;
  const are = formatPlural(differing, 'month differs', 'months differ');
  shell.stderr.write(`stowage audit: ${are} from what was sealed\n`);
  shell.exitCode ||= failedExitCode;
}

/** Makes the sub-command. */
export function verifyCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('verify')
    .description('read sealed months again and compare them with their seals')
    .addHelpText('after', '\nExit codes: 0 all as sealed, 1 failed or something differs, 2 usage.');
  return withOutputOptions(withWindow(command), defaults).action(async (options: VerifyOptions) => {
    const caller = { name: 'audit', options, defaults, shell };
    await callService(AuditService, caller, async (client) => {
      tell(await verify(client, options, shell), shell);
    });
  });
}
