/**
 * Work of many calls, each a commit of its own: counted, stopped by Ctrl-C between two commits,
 * and patient with a server that goes away. Each call is repeated only with its own request id.
 */

import type { Client, StorageService } from '../../client/index.js';
import { longCall } from '../call.js';
import type { Shell } from '../output.js';
import { createRetryNotes } from '../retry-notes.js';
import { Patience } from '../scan/backoff.js';
import { interruptedExitCode, stopOnSignal } from '../stop-signal.js';
import { type Counter, createCounter } from './counter.js';
import type { ListCall } from './listing.js';

/** The calls of the service. */
export type StorageClient = Client<typeof StorageService>;

/** What work is told of, and how it is named. */
export interface WorkOptions {
  readonly shell: Shell;
  readonly server: string;
  /** The command's name. */
  readonly command: string;
  /** What becomes of the objects, such as `deleted`. */
  readonly done: string;
}

/** Work under way. */
export interface LongWork {
  readonly counter: Counter;
  /** Somebody wants it to end: no other commit should begin. */
  readonly isStopped: boolean;
  /** Makes a call, and makes it again when what hinders it may pass. */
  call<Answer>(make: (options: typeof longCall) => Promise<Answer>): Promise<Answer>;
}

/** A listing that waits for a server as patiently as the work does. */
export function patientList(client: StorageClient, work: LongWork): ListCall {
  return {
    listObjects: (request) => work.call((options) => client.listObjects(request, options)),
  };
}

/** Who named a wrong server waits no longer than this. */
const firstMsMax = 2_000;

/** Does the work and takes its traces from the terminal, whatever comes of it. */
export async function withLongWork<Result>(
  { shell, server, command, done }: WorkOptions,
  act: (work: LongWork) => Promise<Result>,
): Promise<Result> {
  const counter = createCounter(shell.stderr, command, done);
  const stop = stopOnSignal(() => {
    counter.note('stopping behind this commit; once more to leave at once');
  });
  const { signal } = stop;
  const onRetry = createRetryNotes(server, counter.note);
  const patience = new Patience({ signal, firstMsMax, onRetry });
  const call: LongWork['call'] = async (make) => {
    for (;;) {
      try {
        const answer = await make(longCall);
        patience.progress();
        return answer;
      } catch (error) {
        await patience.waitOut(error);
      }
    }
  };
  const work: LongWork = {
    counter,
    call,
    get isStopped() {
      return signal.aborted;
    },
  };
  try {
    return await act(work);
  } catch (error) {
    // Stopped while it waited for its server, say; why it could not go on is told all the same.
    if (signal.aborted) shell.exitCode = interruptedExitCode;
    throw error;
  } finally {
    counter.stop();
    stop.release();
  }
}
