/** The bug: some writes are answered, though they were rolled back. */

import { assert } from '../../src/lib/assert.js';
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

/** Answers some writes that are not there. */
export function dropAcks(router: RouterHandle): RouterHandle {
  let writes = 0;
  return surround(router, {
    transaction: async (call, body) => {
      writes += 1;
      if (writes % EVERY !== 0) return router.transaction(call, body);
      let answer: { readonly value: Awaited<ReturnType<typeof body>> } | undefined;
      try {
        await router.transaction(call, async (transaction) => {
          answer = { value: await body(transaction) };
          throw new Error('rolled back, and answered all the same');
        });
        assert(false, 'the body has thrown');
      } catch (error) {
        if (answer === undefined) throw error;
        let token = '';
        const onServed: typeof call.onServed = (servedBy, served) => {
          token = served ?? '';
          call.onServed(servedBy, served);
        };
        await router.run(lookAtPrimary, [], { ...call, onServed });
        return { value: answer.value, token };
      }
    },
  });
}
