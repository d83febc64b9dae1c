/** The bug: a write is run again after it was committed, under a claim of its own. */

import { randomUUID } from 'node:crypto';
import type { Call } from '../../src/postgres/call.js';
import type { Transaction } from '../../src/postgres/router-api.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { surround } from './surround.js';

/** One write in so many. */
const EVERY = 10;

/** How long behind the first time. */
const DELAY_MS = 200;

/** Where the request id stands among the parameters of a claim. */
const REQUEST_ID = 2;

/** Applies some writes twice. */
export function writeTwice(router: RouterHandle): RouterHandle {
  let writes = 0;
  return surround(router, {
    transaction: async (call, body) => {
      writes += 1;
      const committed = await router.transaction(call, body);
      if (writes % EVERY === 0) setTimeout(() => void again(router, call, body), DELAY_MS);
      return committed;
    },
  });
}

async function again(
  router: RouterHandle,
  call: Call,
  body: (transaction: Transaction) => Promise<unknown>,
): Promise<void> {
  const own = new AbortController();
  const deadlineMs = performance.now() + 10_000;
  const onServed = () => undefined;
  try {
    await router.transaction({ ...call, signal: own.signal, deadlineMs, onServed }, (transaction) =>
      body({
        run: (statement, params) => {
          const isClaim = statement.name === 'open-commit';
          const fresh = params.with(REQUEST_ID, randomUUID());
          return transaction.run(statement, isClaim ? fresh : params);
        },
        runLast: (statement, params) => transaction.runLast(statement, params),
      }),
    );
  } catch {
    // A precondition refuses it, or the node is away: this one is not done twice.
  }
}
