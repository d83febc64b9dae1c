/** A watch that outlives its server: it comes again, as long as it takes, and says so. */

import {
  type Client,
  type ClusterService,
  lostConnection,
  type WatchTopologyResponse,
} from '../../client/index.js';
import { Patience } from '../scan/backoff.js';

/** Who is told of what. */
export interface Follower {
  /** Ends it, which is no failure. */
  readonly signal: AbortSignal;
  /** `isFirst`: of its stream; what happened before it may be missing. */
  readonly onMessage: (message: WatchTopologyResponse, isFirst: boolean) => Promise<void> | void;
  /** A failure that is waited out. */
  readonly onRetry: (error: unknown) => void;
}

/**
 * Watches until the signal aborts. What may be repeated is, without an end and with pauses of at
 * most a second, where the server asks for no longer: whoever watches a failover wants to see its
 * end, and a server that refuses the first watch for its load, or is not up yet, answers later. To
 * end after a while would break the word of the note, which says that it is tried again.
 * @throws CallError what does not pass, such as wrong credentials.
 */
export async function follow(
  client: Client<typeof ClusterService>,
  { signal, onMessage, onRetry }: Follower,
): Promise<void> {
  const stalledMsMax = Number.POSITIVE_INFINITY;
  const patience = new Patience({ signal, stalledMsMax, onRetry });
  for (;;) {
    try {
      let isFirst = true;
      for await (const message of client.watchTopology({}, { signal })) {
        patience.progress();
        await onMessage(message, isFirst);
        isFirst = false;
      }
      // The service never ends a watch by itself; a proxy may.
      throw lostConnection('the watch ended');
    } catch (error) {
      if (signal.aborted) return;
      await patience.waitOut(error).catch((failure: unknown) => {
        if (!signal.aborted) throw failure;
      });
    }
  }
}
