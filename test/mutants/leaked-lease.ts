/** The bug: some reads keep a connection for good, in a transaction that never ends. */

import { NEVER } from '../../src/lib/interruption.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { statement } from '../../src/postgres/statement.js';
import { surround } from './surround.js';

/** One read in so many. */
const EVERY = 100;

const takeLease = statement<{ one: number }>({
  name: 'mutant-take-lease',
  intent: 'write',
  text: 'select 1 as one',
});

/** Leaks a lease of the primary now and then. */
export function leakLeases(router: RouterHandle): RouterHandle {
  let reads = 0;
  return surround(router, {
    run: (statement, params, call) => {
      reads += 1;
      if (reads % EVERY === 0) {
        const forever = { ...call, signal: NEVER, deadlineMs: Infinity };
        const leak = router.transaction(forever, async (transaction) => {
          await transaction.run(takeLease, []);
          await new Promise(() => undefined);
        });
        leak.catch(() => undefined);
      }
      return router.run(statement, params, call);
    },
  });
}
