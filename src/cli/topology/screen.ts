/**
 * The cluster drawn in place on a terminal: each frame over the one before it. Lines are cut to the
 * width and frames to the height, for a line that wraps or scrolls away cannot be drawn over.
 */

import type { NodeTransition, Topology } from '../../client/index.js';
import { displayWidth } from '../display-width.js';
import type { Output } from '../output.js';
import { topologyText, transitionLine } from './view.js';

/** A terminal and its size, where it tells. */
export interface Terminal extends Output {
  readonly columns?: number;
  readonly rows?: number;
}

/** Transitions that stay in sight. */
const TRANSITIONS_SHOWN = 10;

const eraseBelow = '\u001b[J';
const clear = '\u001b[2J\u001b[H';
const hideCursor = '\u001b[?25l';
const showCursor = '\u001b[?25h';

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

/** A node's state stands in its column, both of a transition about an arrow. */
const stateWords = new RegExp(`(?<=  |-> )(${Object.keys(colours).join('|')})(?=$| )`, 'g');
const cannot = /not (?:read|writ)able/g;

const paint = (text: string, sgr: number): string => `\u001b[${sgr}m${text}\u001b[0m`;

/** Colours what a line says; cut lines are coloured as far as they go. */
function coloured(line: string, index: number): string {
  // The first line is of the cluster, the others are of nodes.
  if (index === 0) return line.replace(cannot, (text) => paint(text, colours.unreachable));
  return line.replace(stateWords, (word) => paint(word, colours[word as keyof typeof colours]));
}

/** The line as far as it fits. */
function cut(line: string, columns: number): string {
  if (displayWidth(line) <= columns) return line;
  let kept = '';
  let width = 0;
  for (const character of line) {
    width += displayWidth(character);
    if (width > columns) break;
    kept += character;
  }
  return kept;
}

/** What is drawn. */
interface Picture {
  /** Undefined before any was seen. */
  readonly topology: Topology | undefined;
  /** Oldest first; only the last are shown. */
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

/** The lines of a picture, cut and coloured. */
export function pictureLines(picture: Picture, bounds: Bounds): string[] {
  const { columns = 80, rows = 24, hasColours } = bounds;
  const { topology, transitions, note } = picture;
  const shown = transitions.slice(-TRANSITIONS_SHOWN).map(transitionLine);
  const lines = [
    ...(topology === undefined ? [] : [...topologyText(topology).split('\n').slice(0, -1), '']),
    ...(shown.length === 0 ? [] : [...shown, '']),
    ...(note === '' ? [] : [note, '']),
  ];
  // The cursor stands below the last line, which takes a line itself.
  const fitting = lines
    .slice(0, -1)
    .slice(0, Math.max(1, rows - 1))
    .map((line) => cut(line, columns));
  return hasColours ? fitting.map(coloured) : fitting;
}

/** Draws on a terminal until it is closed. */
export class Screen {
  readonly #terminal: Terminal;
  readonly #transitions: NodeTransition[] = [];
  #topology: Topology | undefined;
  #note = '';
  #linesDrawn = 0;
  #shown = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    terminal.write(hideCursor);
    terminal.on('resize', this.#resized);
  }

  /** How often a cluster was shown. */
  get shown(): number {
    return this.#shown;
  }

  /** Shows the cluster as it is, and what made it so: nothing hinders the watch. */
  show(topology: Topology, transition?: NodeTransition): void {
    this.#shown += 1;
    this.#topology = topology;
    this.#note = '';
    if (transition !== undefined) this.#transitions.push(transition);
    this.#transitions.splice(0, Math.max(0, this.#transitions.length - TRANSITIONS_SHOWN));
    this.#draw();
  }

  /** Says below the cluster, which is that of before, what hinders the watch. */
  note(sentence: string): void {
    this.#note = sentence;
    this.#draw();
  }

  /** Leaves the last frame behind, and the cursor below it. */
  close(): void {
    this.#terminal.off('resize', this.#resized);
    this.#terminal.write(showCursor);
  }

  /** Nobody knows how the terminal has broken the lines anew, so all begins above. */
  readonly #resized = (): void => {
    this.#terminal.write(clear);
    this.#linesDrawn = 0;
    this.#draw();
  };

  #draw(): void {
    const { columns, rows } = this.#terminal;
    const hasColours = this.#terminal.hasColors?.() ?? false;
    const lines = pictureLines(
      { topology: this.#topology, transitions: this.#transitions, note: this.#note },
      { columns, rows, hasColours },
    );
    const up = this.#linesDrawn === 0 ? '' : `\u001b[${this.#linesDrawn}A`;
    this.#terminal.write(`${up}\r${eraseBelow}${lines.map((line) => `${line}\n`).join('')}`);
    this.#linesDrawn = lines.length;
  }
}
