/** Maintenance jobs: many as a table, one in a sentence. */

import { timestampDate } from '@bufbuild/protobuf/wkt';
import {
  type ListMaintenanceJobsResponse,
  type MaintenanceJob,
  MaintenanceKind,
  MaintenanceState,
} from '../../client/index.js';
import { broken } from '../fit.js';
import { fittedLines, type NamedColumns } from '../fitted-table.js';
import { formatCount, formatMs, formatShare } from '../scan/format.js';
import { escapeText } from '../scan/names.js';
import { ageText, pageOf, type Shown, type View } from './view.js';

const stateOf = ({ state }: MaintenanceJob): string =>
  MaintenanceState[state]?.toLowerCase() ?? String(state);

/** What a job does, such as `vacuum storage_objects`. */
export function jobName({ kind, target }: MaintenanceJob): string {
  return `${MaintenanceKind[kind]?.toLowerCase() ?? kind} ${escapeText(target)}`;
}

/** How long it took, or has taken so far. */
export function tookText({ startedAt, endedAt }: MaintenanceJob, now: Date): string {
  if (startedAt === undefined) return '';
  const end = endedAt === undefined ? now : timestampDate(endedAt);
  return formatMs(end.getTime() - timestampDate(startedAt).getTime());
}

/** How far it is: `scanning heap, 45.0 % (1,234 of 2,741 blocks)`. */
export function progressText({ phase, done, total, unit }: MaintenanceJob): string {
  const part =
    total > 0n
      ? [
          `${formatShare(Math.min(1, Number(done) / Number(total)))} ` +
            `(${formatCount(done)} of ${formatCount(total)} ${unit})`,
        ]
      : [];
  return [...(phase === '' ? [] : [escapeText(phase)]), ...part].join(', ');
}

function columnsOf(view: View): NamedColumns<MaintenanceJob> {
  return [
    { title: 'JOB', cell: ({ jobId }) => jobId },
    { title: 'STATE', cell: stateOf },
    { title: 'TOOK', cell: (job) => tookText(job, view.now), align: 'right' },
    { title: 'BEGAN', cell: ({ startedAt }) => `${ageText(startedAt, view)} ago`, align: 'right' },
    { title: 'BY', cell: ({ principal }) => principal },
  ];
}

const leastFirst = ['BY', 'BEGAN', 'TOOK'];

const indent = ' '.repeat(4);

/** What it does, and how far it is or why it failed. */
function belowLines(job: MaintenanceJob, { width }: View): string[] {
  const isRunning = job.state === MaintenanceState.RUNNING;
  const detail = isRunning ? progressText(job) : escapeText(job.error);
  const text = detail === '' ? jobName(job) : `${jobName(job)}: ${detail}`;
  return broken(text, width - indent.length).map((line) => `${indent}${line}`);
}

/** The jobs, each with what it does below. */
export function jobsShown({ jobs }: ListMaintenanceJobsResponse, view: View): Shown {
  if (jobs.length === 0) return { text: '', notes: ['This server has run no maintenance job.'] };
  const { width } = view;
  const below = (job: MaintenanceJob) => belowLines(job, view);
  const narrowing = { width, leastFirst, shortens: 'never' as const, below };
  return { text: pageOf(fittedLines(columnsOf(view), jobs, narrowing)) };
}
