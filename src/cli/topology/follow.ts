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

/** Who named a wrong server is told so soon: as good as nothing has been seen yet. */
const firstMsMax = 500;

/**
 * Watches until the signal aborts. A server that answered once is waited for without an end, with
 * pauses of at most a second: whoever watches a failover wants to see its end.
 * @throws CallError what does not pass, or where no server ever answered.
 */
export async function follow(
  client: Client<typeof ClusterService>,
  { signal, onMessage, onRetry }: Follower,
): Promise<void> {
  const stalledMsMax = Number.POSITIVE_INFINITY;
  const patience = new Patience({ signal, firstMsMax, stalledMsMax, onRetry });
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
