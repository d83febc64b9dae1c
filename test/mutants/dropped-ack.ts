/** The bug: some writes are answered, though they were rolled back. */

import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { statement } from '../../src/postgres/statement.js';
import { surround } from './surround.js';

/** One write in so many. */
const EVERY = 25;

const lookAtPrimary = statement<{ one: number }>({
  name: 'mutant-look-at-primary',
  intent: 'readPrimary',
  text: 'select 1 as one',
});

/** What a rolled-back transaction would have answered. */
class RolledBack extends Error {
  override readonly name = 'RolledBack';
  readonly value: unknown;

  constructor(value: unknown) {
    super('answered all the same');
    this.value = value;
  }
}

/** Answers some writes that are not there. */
export function dropAcks(router: RouterHandle): RouterHandle {
  let writes = 0;
  return surround(router, {
    transaction: async (call, body) => {
      writes += 1;
      if (writes % EVERY !== 0) return router.transaction(call, body);
      try {
        return await router.transaction(call, async (transaction) => {
          throw new RolledBack(await body(transaction));
        });
      } catch (error) {
        if (!(error instanceof RolledBack)) throw error;
        let token = '';
        const onServed: typeof call.onServed = (servedBy, served) => {
          token = served ?? '';
          call.onServed(servedBy, served);
        };
        await router.run(lookAtPrimary, [], { ...call, onServed });
        return { value: error.value as Awaited<ReturnType<typeof body>>, token };
      }
    },
  });
}
