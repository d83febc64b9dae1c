/**
 * How far a scan is: a bar where a person watches, a line every few seconds elsewhere. Both go to
 * standard error, so that standard output holds the result alone.
 */

import cliProgress from 'cli-progress';
import { formatBytes, formatCount, formatSeconds } from './format.js';
import { newTally, type Tally } from './tally.js';

/** Shows a scan as it runs. */
export interface Progress {
  /** Begins to show these counters. */
  start(tally: Readonly<Tally>): void;
  /** Says how many files there are, as soon as they are counted. */
  setTotal(files: number): void;
  /** Says one sentence in between. */
  note(sentence: string): void;
  /** Shows the last state and ends. */
  stop(): void;
}

const barIntervalMs = 200;
const lineIntervalMs = 5_000;

/** The counters against the clock and the total. */
class Pace {
  readonly #startedMs = performance.now();
  tally: Readonly<Tally> = newTally();
  total: number | undefined;

  get done(): number {
    return this.total === undefined ? 0 : Math.min(1, this.tally.files / Math.max(1, this.total));
  }

  /** `1,200/25,000 files, 1.5 GiB, 3,000 files/s, 120 MiB/s, ETA 8 s`. */
  describe(): string {
    const { files, bytes, bytesDigested } = this.tally;
    const seconds = (performance.now() - this.#startedMs) / 1000;
    const filesPerSecond = files / seconds;
    const of = this.total === undefined ? '' : `/${formatCount(Math.max(files, this.total))}`;
    const parts = [
      `${formatCount(files)}${of} files`,
      formatBytes(bytes),
      `${formatCount(filesPerSecond)} files/s`,
      `${formatBytes(Math.round(bytesDigested / seconds))}/s`,
    ];
    if (this.total !== undefined && files > 0) {
      const left = Math.max(0, this.total - files);
      parts.push(`ETA ${formatSeconds(left / filesPerSecond)}`);
    }
    return parts.join(', ');
  }
}

class BarProgress implements Progress {
  readonly #pace = new Pace();
  readonly #stream: NodeJS.WriteStream;
  readonly #bar: cliProgress.SingleBar;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#bar = new cliProgress.SingleBar({
      stream,
      barsize: 24,
      hideCursor: true,
      format: (options, params) => {
        const bar = cliProgress.Format.BarFormat(params.progress, options);
        return `[${bar}] ${this.#pace.describe()}`;
      },
    });
  }

  start(tally: Readonly<Tally>): void {
    this.#pace.tally = tally;
    this.#bar.start(1, 0);
    this.#timer = setInterval(() => this.#bar.update(this.#pace.done), barIntervalMs).unref();
  }

  setTotal(files: number): void {
    this.#pace.total = files;
  }

  note(sentence: string): void {
    this.#stream.write(`\r\u001b[K${sentence}\n`);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#bar.update(this.#pace.done);
    this.#bar.stop();
  }
}

class LineProgress implements Progress {
  readonly #pace = new Pace();
  readonly #stream: NodeJS.WritableStream;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream;
  }

  start(tally: Readonly<Tally>): void {
    this.#pace.tally = tally;
    this.#timer = setInterval(() => this.note(this.#pace.describe()), lineIntervalMs).unref();
  }

  setTotal(files: number): void {
    this.#pace.total = files;
  }

  note(sentence: string): void {
    this.#stream.write(`scan: ${sentence}\n`);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** The fitting progress for the stream. */
export function createProgress(stream: NodeJS.WriteStream): Progress {
  return stream.isTTY ? new BarProgress(stream) : new LineProgress(stream);
}
