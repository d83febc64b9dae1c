/** How far an index is: a bar where a person watches, a line every few seconds elsewhere. */

import cliProgress from 'cli-progress';
import type { BuildProgress } from '../postgres/build-progress.js';

const LINE_INTERVAL_MS = 5_000;

/** Shows a build as it runs. */
export interface ShownProgress {
  readonly update: (progress: BuildProgress) => void;
  /** Says one sentence in between. */
  note(sentence: string): void;
  /** Ends it, once; full where the build has succeeded. */
  stop(isDone: boolean): void;
}

/** The fitting progress for the stream; nothing is shown before the first update. */
export function createBuildProgress(stream: NodeJS.WriteStream): ShownProgress {
  return stream.isTTY ? bar(stream) : lines(stream);
}

function bar(stream: NodeJS.WriteStream): ShownProgress {
  const format = '[{bar}] {percentage} % {phase}';
  const shown = new cliProgress.SingleBar({ stream, barsize: 24, hideCursor: true, format });
  let isRunning = false;
  return {
    update({ phase, done }) {
      if (isRunning) shown.update(done, { phase });
      else shown.start(1, done, { phase });
      isRunning = true;
    },
    note: (sentence) => {
      stream.write(`\r\u001b[K${sentence}\n`);
    },
    stop(isDone) {
      if (!isRunning) return;
      isRunning = false;
      if (isDone) shown.update(1, { phase: 'done' });
      shown.stop();
    },
  };
}

function lines(stream: NodeJS.WritableStream): ShownProgress {
  let shownAtMs = -Infinity;
  return {
    update({ phase, done }) {
      if (performance.now() - shownAtMs < LINE_INTERVAL_MS) return;
      shownAtMs = performance.now();
      stream.write(`index: ${Math.floor(done * 100)} %, ${phase}\n`);
    },
    note: (sentence) => {
      stream.write(`index: ${sentence}\n`);
    },
    stop: () => undefined,
  };
}
