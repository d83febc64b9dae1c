/** How often settings are read again, over a router that takes its time. */

import { describe, expect, it, onTestFinished } from 'vitest';
import { deferred } from '../../src/lib/deferred.js';
import type { Reloadable, RouterHandle } from '../../src/postgres/router-handle.js';
import { Reloader } from '../../src/server/reload.js';
import { onReloadEnded, type ReloadEnded } from '../../src/telemetry/events.js';

const nodesAt = (port: number): Reloadable => ({
  nodes: [{ host: '127.0.0.1', port }],
  password: undefined,
});

describe('Reloader', () => {
  it('reads once more for all who ask while it is at it', async () => {
    const first = deferred<void>();
    const taken: number[] = [];
    const router = {
      reload: async ({ nodes }: Reloadable) => {
        taken.push(nodes[0]?.port ?? 0);
        if (taken.length === 1) await first.promise;
      },
    } as unknown as RouterHandle;
    const reloader = new Reloader(router, nodesAt(1), 0);
    const told: ReloadEnded[] = [];
    onTestFinished(onReloadEnded((event) => told.push(event)));
    let port = 2;
    const asked = [reloader.reload(() => nodesAt(port))];
    await Promise.resolve();
    for (let signal = 0; signal < 1_000; signal += 1) {
      asked.push(reloader.reload(() => nodesAt(port)));
    }
    // What was written before the last signal counts.
    port = 3;
    first.resolve();
    await Promise.all(asked);
    expect(taken).toEqual([2, 3]);
    expect(told.map(({ added }) => added)).toEqual([['127.0.0.1:2'], ['127.0.0.1:3']]);
    await reloader.reload(() => nodesAt(4));
    expect(taken).toEqual([2, 3, 4]);
  });
});
