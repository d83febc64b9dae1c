/** The cluster as text: nodes as a table, what can be done with them, transitions as lines. */

import type { Timestamp } from '@bufbuild/protobuf/wkt';
import {
  FenceReason,
  type Node,
  NodeState,
  type NodeTransition,
  type PoolStatus,
  type Topology,
} from '../../client/index.js';
import { displayWidth } from '../display-width.js';
import { cutEnd, cutMiddle, wrapped } from '../fit.js';
import { fittedLines, NAME_COLUMNS_MIN, type NamedColumns } from '../fitted-table.js';
import { formatBytes } from '../scan/format.js';
import { escapeText } from '../scan/names.js';
import { type Column, renderTable } from '../table.js';

/** A state as the router's pages name it. */
export function stateName(state: NodeState): string {
  // A state of a newer server has a number only.
  return NodeState[state]?.toLowerCase() ?? String(state);
}

/** The state, and what else decides which calls the node gets. */
export function stateCell({ state, fenceReason, drained, doubted }: Node): string {
  const notes = [
    ...(fenceReason === FenceReason.UNSPECIFIED ? [] : [fenceName(fenceReason)]),
    ...(drained && state !== NodeState.DRAINING ? ['drained'] : []),
    ...(doubted ? ['doubted'] : []),
  ];
  return notes.length === 0 ? stateName(state) : `${stateName(state)} (${notes.join(', ')})`;
}

function fenceName(reason: FenceReason): string {
  return FenceReason[reason]?.toLowerCase().replaceAll('_', ' ') ?? String(reason);
}

function lagCell({ lagMs }: Node): string {
  return lagMs === undefined ? '' : `${Math.ceil(lagMs)} ms`;
}

/** What calls have, what is open, who waits. */
function poolCell(pool: PoolStatus | undefined): string {
  return pool === undefined ? '' : `${pool.acquired}/${pool.size}/${pool.waiting}`;
}

const nameColumn: Column<Node> = { title: 'NODE', cell: ({ name }) => name };
const stateColumn: Column<Node> = { title: 'STATE', cell: stateCell };

const figureColumns: readonly Column<Node>[] = [
  {
    title: 'TIMELINE',
    cell: ({ timeline }) => (timeline === 0 ? '' : String(timeline)),
    align: 'right',
  },
  { title: 'LSN', cell: ({ lsn }) => lsn, align: 'right' },
  { title: 'LAG', cell: lagCell, align: 'right' },
  {
    title: 'BEHIND',
    cell: ({ lagBytes }) => (lagBytes === undefined ? '' : formatBytes(lagBytes)),
    align: 'right',
  },
  { title: 'CALLS', cell: ({ unaryPool }) => poolCell(unaryPool), align: 'right' },
  { title: 'STREAMS', cell: ({ streamsPool }) => poolCell(streamsPool), align: 'right' },
];

const columns: NamedColumns<Node> = [nameColumn, stateColumn, ...figureColumns];

/** Titles of the columns that a narrow terminal does without, the first one first. */
const leastFirst = ['STREAMS', 'CALLS', 'LSN', 'TIMELINE', 'BEHIND', 'LAG'];

/** How the line of the cluster is shown. */
interface ClusterLineOptions {
  /** When the server told of it that answers no more. */
  readonly oldSince?: Date | undefined;
  /** The terminal's; without, the line is never broken. */
  readonly columns?: number;
}

/**
 * What the cluster as a whole can do, in a line, broken where it is too long. Of an old cluster
 * nobody knows what it can do now.
 */
export function clusterLines(topology: Topology, options: ClusterLineOptions = {}): string[] {
  const { primary, epoch, timeline, canRead, canWrite } = topology;
  const { oldSince, columns = Number.POSITIVE_INFINITY } = options;
  const title = 'primary ';
  const name = primary === '' ? 'unknown' : escapeText(primary);
  const place = [
    `${title}${cutMiddle(name, Math.max(NAME_COLUMNS_MIN, columns - title.length))}`,
    `epoch ${epoch}`,
    `timeline ${timeline === 0 ? 'unknown' : timeline}`,
  ];
  const can = [canRead ? 'readable' : 'not readable', canWrite ? 'writable' : 'not writable'];
  if (oldSince === undefined) return wrapped([...place, ...can], columns);
  const time = oldSince.toISOString().slice(11, 19);
  const age = `as of ${time} UTC, before the server stopped answering`;
  return wrapped([age, ...place], columns);
}

/** The cluster in one line, and its nodes as a table; each line with its end. */
export function topologyText(topology: Topology): string {
  const table = renderTable(columns, topology.nodes);
  return `${clusterLines(topology).join('\n')}\n\n${table}`;
}

/** The table's lines for a terminal so wide: names are shortened, then columns left out. */
export function fittedTable(nodes: readonly Node[], width: number): string[] {
  return fittedLines(columns, nodes, { width, leastFirst });
}

/** To the millisecond, in UTC; all have the same length. */
function timeText(time: Timestamp | undefined): string {
  if (time === undefined) return '';
  return new Date(Number(time.seconds) * 1000 + time.nanos / 1e6).toISOString();
}

/** One change of one node's state, without a line's end. */
export function transitionLine({ node, fromState, toState, detail, time }: NodeTransition): string {
  const change = `${stateName(fromState)} -> ${stateName(toState)}`;
  const seen = detail === '' ? '' : `  ${escapeText(detail)}`;
  return `${timeText(time)}  ${escapeText(node)}  ${change}${seen}`;
}

/** Less of a detail says nothing. */
const DETAIL_COLUMNS_MIN = 8;

/** The same in so many columns: the day goes first, then of the name and of the detail. */
export function fittedTransition(transition: NodeTransition, columns: number): string {
  const whole = transitionLine(transition);
  if (displayWidth(whole) <= columns) return whole;
  const { node, fromState, toState, detail, time } = transition;
  const change = `${stateName(fromState)} -> ${stateName(toState)}`;
  const clock = timeText(time).slice(11, 23);
  const gaps = 4;
  const room = columns - clock.length - change.length - gaps;
  // On a terminal too narrow for both, what happened is worth more than when.
  const start = room < NAME_COLUMNS_MIN ? '' : `${clock}  `;
  const nameRoom = start === '' ? columns - change.length - 2 : room;
  const name = cutMiddle(escapeText(node), Math.max(NAME_COLUMNS_MIN, nameRoom));
  const known = cutEnd(`${start}${name}  ${change}`, columns);
  const detailRoom = columns - displayWidth(known) - 2;
  if (detail === '' || detailRoom < DETAIL_COLUMNS_MIN) return known;
  return `${known}  ${cutEnd(escapeText(detail), detailRoom)}`;
}
