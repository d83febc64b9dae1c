/** The health of a server and its nodes as a short page, what was found first. */

import {
  type HealthFinding,
  type HealthReport,
  HealthSeverity,
  HealthStatus,
  type NodeHealth,
  type ServerHealth,
} from '../../client/index.js';
import { broken } from '../fit.js';
import { fittedLines, type NamedColumns } from '../fitted-table.js';
import { paint } from '../paint.js';
import { formatBytes, formatCount, formatMs, formatPlural, formatShare } from '../scan/format.js';
import { escapeText } from '../scan/names.js';
import { renderRecord } from '../table.js';
import { stateCell } from '../topology/view.js';
import { ageText, filledColumns, pageOf, type Shown, type View } from './view.js';

const statuses = {
  [HealthStatus.UNSPECIFIED]: { word: 'unknown', color: 33 },
  [HealthStatus.OK]: { word: 'ok', color: 32 },
  [HealthStatus.DEGRADED]: { word: 'degraded', color: 33 },
  [HealthStatus.DOWN]: { word: 'DOWN', color: 31 },
} as const;

const severities = {
  [HealthSeverity.UNSPECIFIED]: { word: 'note', color: 36 },
  [HealthSeverity.WARNING]: { word: 'warn', color: 33 },
  [HealthSeverity.ERROR]: { word: 'FAIL', color: 31 },
} as const;

const indent = ' '.repeat(6);

const painted = (text: string, color: number, { isColored }: View): string =>
  isColored ? paint(text, color) : text;

function servedText(canRead: boolean, canWrite: boolean): string {
  if (canRead && canWrite) return 'reads and writes are served';
  if (!canRead && !canWrite) return 'neither reads nor writes are served';
  return canRead ? 'reads are served, writes are not' : 'writes are served, reads are not';
}

function headLine({ status, canRead, canWrite }: HealthReport, view: View): string {
  // A status of a newer server has a number only.
  const { word, color } = statuses[status] ?? statuses[HealthStatus.UNSPECIFIED];
  return `${painted(word, color, view)}: ${servedText(canRead, canWrite)}`;
}

function findingLines({ severity, code, node, message }: HealthFinding, view: View): string[] {
  const { word, color } = severities[severity] ?? severities[HealthSeverity.UNSPECIFIED];
  const where = node === '' ? '' : `  ${escapeText(node)}`;
  const sentences = broken(escapeText(message), view.width - indent.length);
  return [
    `${painted(word, color, view)}  ${escapeText(code)}${where}`,
    ...sentences.map((line) => `${indent}${line}`),
  ];
}

function serverLines(server: ServerHealth | undefined, view: View): string[] {
  if (server === undefined) return [];
  const { version, startedAt, unaryCalls, streams } = server;
  const up = startedAt === undefined ? [] : [`up ${ageText(startedAt, view)}`];
  const calls = formatPlural(unaryCalls, 'call runs', 'calls run');
  const heap = formatBytes(server.heapUsedBytes);
  return renderRecord([
    ['server', [...(version === '' ? [] : [version]), ...up].join(', ')],
    ['work', `${calls}, ${formatPlural(streams, 'stream', 'streams')}`],
    ['memory', `${formatBytes(server.rssBytes)}, of it ${heap} heap`],
    ['event loop', `${formatMs(server.eventLoopDelayMs)} late (99th percentile)`],
  ])
    .split('\n')
    .slice(0, -1);
}

const columns: NamedColumns<NodeHealth> = [
  { title: 'NODE', cell: ({ node }) => node?.name ?? '' },
  { title: 'STATE', cell: ({ node }) => (node === undefined ? '' : stateCell(node)) },
  { title: 'SESSIONS', cell: sessionsCell, align: 'right' },
  { title: 'ACTIVE', cell: ({ connections }) => countOf(connections?.active), align: 'right' },
  {
    title: 'WAITING',
    cell: ({ connections }) => countOf(connections?.waitingForLock),
    align: 'right',
  },
  { title: 'IN MEMORY', cell: hitsCell, align: 'right' },
  { title: 'BEHIND', cell: ({ node }) => bytesOf(node?.lagBytes), align: 'right' },
  { title: 'KEPT', cell: ({ wal }) => bytesOf(wal?.slotsRetainedBytes), align: 'right' },
  { title: 'SIZE', cell: ({ activity }) => bytesOf(activity?.sizeBytes), align: 'right' },
  { title: 'VERSION', cell: ({ serverVersion }) => serverVersion, align: 'right' },
];

const leastFirst = ['VERSION', 'SIZE', 'KEPT', 'ACTIVE', 'WAITING', 'IN MEMORY', 'BEHIND'];

const countOf = (count: number | undefined): string =>
  count === undefined ? '' : formatCount(count);

const bytesOf = (bytes: bigint | undefined): string =>
  bytes === undefined ? '' : formatBytes(bytes);

function sessionsCell({ connections }: NodeHealth): string {
  return connections === undefined ? '' : `${connections.total}/${connections.max}`;
}

function hitsCell({ activity }: NodeHealth): string {
  const ratio = activity?.cacheHitRatio;
  return ratio === undefined ? '' : formatShare(ratio);
}

/** The state in a line, findings, the server, then a line a node. */
export function healthShown(report: HealthReport, view: View): Shown {
  const { findings, server, nodes } = report;
  const table =
    nodes.length === 0
      ? []
      : fittedLines(filledColumns(columns, nodes), nodes, { ...view, leastFirst });
  return {
    text: pageOf(
      [headLine(report, view)],
      findings.flatMap((finding) => findingLines(finding, view)),
      serverLines(server, view),
      table,
    ),
  };
}
