/** A few seconds of `npm run test:chaos`, whose seed makes a failover the first fault. */

import { expect, it } from 'vitest';
import { describeViolations } from '../chaos/report.js';
import { runChaos } from '../chaos/run.js';

const seed = 134;

it(`keeps every promise through some seconds of chaos, with the seed ${seed}`, async () => {
  const print = () => undefined;
  const result = await runChaos({ seed, durationMs: 1_500, roundMsMax: 1_500, print });
  expect(describeViolations(result.violations)).toBe('violations: 0');
  expect(result.recorder.promotions.length).toBeGreaterThan(0);
});
