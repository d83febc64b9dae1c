/** A database and its counters as a record. */

import type { GetDatabaseStatisticsResponse } from '../../client/index.js';
import { shortTime, wholeSize } from '../cells.js';
import { broken } from '../fit.js';
import { formatBytes, formatCount, formatShare } from '../scan/format.js';
import { escapeText } from '../scan/names.js';
import { renderRecord } from '../table.js';
import { ageText, type Shown, type View } from './view.js';

/** Before each value. */
const nameColumns = 'temporary files  '.length;

type Statistics = GetDatabaseStatisticsResponse;

function hitsText({ heapHitRatio, indexHitRatio }: Statistics): string {
  const parts = [
    ...(heapHitRatio === undefined ? [] : [`${formatShare(heapHitRatio)} of table blocks`]),
    ...(indexHitRatio === undefined ? [] : [`${formatShare(indexHitRatio)} of index blocks`]),
  ];
  return parts.length === 0 ? 'nothing was read yet' : parts.join(', ');
}

function transactionsText({ committed, rolledBack }: Statistics): string {
  return `${formatCount(committed)} committed, ${formatCount(rolledBack)} rolled back`;
}

/** How many there are, and of each state, the most first. */
function sessionsLines({ sessions, sessionsMax }: Statistics, { width }: View): string[] {
  const states = Object.entries(sessions).sort(([, a], [, b]) => b - a);
  const total = states.reduce((sum, [, count]) => sum + count, 0);
  const parts = states.map(([state, count]) => `${formatCount(count)} ${state}`);
  const detail = parts.length === 0 ? '' : `: ${parts.join(', ')}`;
  const text = `${formatCount(total)} of ${formatCount(sessionsMax)}${detail}`;
  return broken(escapeText(text), width - nameColumns);
}

function sinceText({ resetAt }: Statistics, view: View): string {
  if (resetAt === undefined) {
    return 'since they began; nobody has reset them';
  }
  return `since ${shortTime(resetAt)} (${ageText(resetAt, view)})`;
}

/** One line a figure. */
export function databaseShown(statistics: Statistics, view: View): Shown {
  const { node, database, sizeBytes, deadlocks, temporaryBytes } = statistics;
  return {
    text: renderRecord([
      ['node', node],
      ['database', database],
      ['size', wholeSize(sizeBytes)],
      ['sessions', sessionsLines(statistics, view)],
      ['found in memory', hitsText(statistics)],
      ['transactions', transactionsText(statistics)],
      ['deadlocks', formatCount(deadlocks)],
      ['temporary files', `${formatBytes(temporaryBytes)} written`],
      ['counted', sinceText(statistics, view)],
    ]),
  };
}
