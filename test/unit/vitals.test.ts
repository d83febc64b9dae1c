import { expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { Vitals } from '../../src/server/vitals.js';

it('measures how late timers are while the event loop is held up, and memory', async () => {
  const vitals = new Vitals();
  const isMeasuring = () => vitals.now().eventLoopDelayMs < 100;
  expect(isMeasuring()).toBe(true);
  const holdUp = () => {
    for (const untilMs = performance.now() + 250; performance.now() < untilMs; );
    return vitals.now().eventLoopDelayMs > 100;
  };
  await until(holdUp, { timeoutMs: 10_000, what: 'the delay is seen' });
  const { rssBytes, heapUsedBytes, startedAtMs } = vitals.now();
  expect(rssBytes).toBeGreaterThan(heapUsedBytes);
  expect(startedAtMs).toBeLessThanOrEqual(Date.now());
  vitals.close();
});
