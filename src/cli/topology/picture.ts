/**
 * The lines of one frame on a terminal. What hinders the watch is always among them; where there
 * are too few rows, the oldest transitions go first.
 */

import type { NodeTransition, Topology } from '../../client/index.js';
import { cutEnd, wrappedSentence } from '../fit.js';
import { paint } from '../paint.js';
import { clusterLines, fittedTable, fittedTransition } from './view.js';

/** SGR numbers: what takes calls is calm, what is kept from them is not. */
const colours = {
  primary: 32,
  standby: 36,
  lagging: 33,
  draining: 34,
  unreachable: 31,
  fenced: 35,
  unknown: 90,
} as const;

const oldColour = 90;

/** A node's state stands in its column, both of a transition about an arrow. */
const stateWords = new RegExp(`(?<=  |-> )(${Object.keys(colours).join('|')})(?=$| )`, 'g');
const cannot = /not (?:read|writ)able/g;

const paintOld = (line: string): string => paint(line, oldColour);

const paintCannot = (line: string): string =>
  line.replace(cannot, (text) => paint(text, colours.unreachable));

const paintStates = (line: string): string =>
  line.replace(stateWords, (word) => paint(word, colours[word as keyof typeof colours]));

/** What is drawn. */
export interface Picture {
  /** Undefined before any was seen. */
  readonly topology: Topology | undefined;
  /** When the server told of it, where it answers no more; undefined: it is as told just now. */
  readonly oldSince: Date | undefined;
  /** Oldest first; the last are shown, as many as fit. */
  readonly transitions: readonly NodeTransition[];
  /** What hinders the watch, in a sentence; empty: nothing does. */
  readonly note: string;
}

/** What is known of a terminal. */
export interface Bounds {
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  readonly hasColours: boolean;
}

/** Transitions for whose sake the lines between the parts are left out. */
const TRANSITIONS_WANTED = 3;

/** What stands together in a frame, and how it is painted. */
interface Part {
  readonly lines: readonly string[];
  readonly painted: (line: string) => string;
}

const asItIs = (line: string): string => line;

/** As much of a table as fits, and how many nodes do not. */
function cutTable(table: readonly string[], rows: number): readonly string[] {
  if (table.length <= rows) return table;
  if (rows <= 0) return [];
  const kept = table.slice(0, rows - 1);
  return [...kept, `… ${table.length - Math.max(1, kept.length)} more nodes`];
}

/** The parts of a frame with no more lines than these. */
function partsOf(picture: Picture, columns: number, rows: number): Part[] {
  const { topology, oldSince, note } = picture;
  const noteRowsMax = Math.max(1, Math.floor(rows / 3));
  const noteLines = note === '' ? [] : wrappedSentence(note, columns, noteRowsMax);
  const transitions = picture.transitions.map((each) => fittedTransition(each, columns));
  const clusterRows = rows - noteLines.length;
  const head = topology === undefined ? [] : clusterLines(topology, { oldSince, columns });
  const headLines = head.slice(0, clusterRows);
  const tableRows = clusterRows - headLines.length - Math.min(1, transitions.length);
  const table = topology === undefined ? [] : fittedTable(topology.nodes, columns);
  const tableLines = cutTable(table, tableRows);
  const filled = [headLines, tableLines, transitions, noteLines].filter(({ length }) => length > 0);
  const left = clusterRows - headLines.length - tableLines.length;
  const leftBetween = left - (filled.length - 1);
  const isWide = leftBetween >= Math.min(TRANSITIONS_WANTED, transitions.length);
  const shown = isWide ? leftBetween : left;
  const isOld = oldSince !== undefined;
  return [
    { lines: headLines, painted: isOld ? paintOld : paintCannot },
    { lines: tableLines, painted: isOld ? paintOld : paintStates },
    { lines: shown > 0 ? transitions.slice(-shown) : [], painted: paintStates },
    { lines: noteLines, painted: asItIs },
  ].filter(({ lines }) => lines.length > 0);
}

/** The lines of a picture, cut and coloured. */
export function pictureLines(picture: Picture, bounds: Bounds): string[] {
  const { columns = 80, rows = 24, hasColours } = bounds;
  // The cursor stands below the last line, which takes a line itself.
  const room = Math.max(1, rows - 1);
  const parts = partsOf(picture, columns, room);
  const used = parts.reduce((sum, { lines }) => sum + lines.length, 0);
  const between = used + parts.length - 1 <= room ? [''] : [];
  return parts.flatMap(({ lines, painted }, index) => {
    const fitting = lines.map((line) => cutEnd(line, columns));
    return [...(index === 0 ? [] : between), ...(hasColours ? fitting.map(painted) : fitting)];
  });
}
