/** A router that differs from a sound one in some methods. */

import type { RouterHandle } from '../../src/postgres/router-handle.js';

/** Everything as the router does it, but for these methods. */
export function surround(
  router: RouterHandle,
  methods: Partial<Pick<RouterHandle, 'run' | 'transaction' | 'stream'>>,
): RouterHandle {
  return new Proxy(router, {
    get: (target, name) => {
      const other: unknown = Reflect.get(methods, name);
      if (other !== undefined) return other;
      // With the router itself as `this`: its private fields are not the proxy's.
      const own: unknown = Reflect.get(target, name, target);
      return typeof own === 'function' ? own.bind(target) : own;
    },
  });
}
