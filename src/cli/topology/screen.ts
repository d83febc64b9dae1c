/**
 * The cluster drawn in place on a terminal: each frame over the one before it. Lines are cut to the
 * width and frames to the height, for a line that wraps or scrolls away cannot be drawn over.
 */

import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import type { NodeTransition, Topology } from '../../client/index.js';
import type { Output } from '../output.js';
import { pictureLines } from './picture.js';

/** A terminal and its height, where it tells. */
export interface Terminal extends Output {
  readonly rows?: number;
}

/** Transitions that stay in sight. */
const TRANSITIONS_SHOWN = 10;

const eraseBelow = '\u001b[J';
const clear = '\u001b[2J\u001b[H';
const hideCursor = '\u001b[?25l';
const showCursor = '\u001b[?25h';

/** A cluster as the server told of it. */
export interface Sight {
  readonly topology?: Topology | undefined;
  readonly serverTime?: Timestamp | undefined;
  /** What made it so. */
  readonly transition?: NodeTransition | undefined;
}

/** Draws on a terminal until it is closed. */
export class Screen {
  readonly #terminal: Terminal;
  readonly #transitions: NodeTransition[] = [];
  #topology: Topology | undefined;
  #toldAt = new Date(0);
  #isOld = false;
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

  /** Shows what the watch tells: nothing hinders it. */
  show(sight: Sight): void {
    this.#shown += 1;
    this.#note = '';
    const { transition } = sight;
    if (transition !== undefined) this.#transitions.push(transition);
    this.#transitions.splice(0, Math.max(0, this.#transitions.length - TRANSITIONS_SHOWN));
    this.refresh(sight);
  }

  /** Shows the cluster as it is now; what hinders the watch is still said. */
  refresh({ topology, serverTime }: Sight): void {
    if (topology === undefined) return;
    this.#topology = topology;
    this.#toldAt = serverTime === undefined ? new Date() : timestampDate(serverTime);
    this.#isOld = false;
    this.#draw();
  }

  /** Says below the cluster what hinders the watch, and whether nothing at all answers. */
  note(sentence: string, isSilent: boolean): void {
    this.#note = sentence;
    this.#isOld ||= isSilent;
    this.#draw();
  }

  /** The figures are not known anew: what is shown is old, unless the watch itself goes on. */
  miss(isSilent: boolean): void {
    if (this.#isOld || (!isSilent && this.#note === '')) return;
    this.#isOld = true;
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
      {
        topology: this.#topology,
        oldSince: this.#isOld ? this.#toldAt : undefined,
        transitions: this.#transitions,
        note: this.#note,
      },
      { columns, rows, hasColours },
    );
    const up = this.#linesDrawn === 0 ? '' : `\u001b[${this.#linesDrawn}A`;
    this.#terminal.write(`${up}\r${eraseBelow}${lines.map((line) => `${line}\n`).join('')}`);
    this.#linesDrawn = lines.length;
  }
}
