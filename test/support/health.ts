/** Health of a server that a test makes up: no process is measured. */
import { StowageError } from '../../src/errors.js';
import { NEVER } from '../../src/lib/interruption.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import type { Health } from '../../src/server/health.js';
import { healthPages, type PageServer, servePages } from '../../src/server/pages.js';
import type { ServerVitals } from '../../src/store/health/report.js';
import { HealthReporter, type HealthReporterOptions } from '../../src/store/health/reporter.js';

/** A server that has nothing to do. */
export function vitalsOf(fields: Partial<ServerVitals> = {}): ServerVitals {
  return {
    version: '1.2.3',
    startedAtMs: 1_772_355_600_000,
    ...{ unaryCalls: 0, streams: 0, eventLoopDelayMs: 0, heapUsedBytes: 1, rssBytes: 2 },
    isDraining: false,
    ...fields,
  };
}

/** A reporter over nodes that answer nothing, where the test has no answers for them. */
export function reporterOver(
  topology: RouterHandle['topology'],
  options: Partial<HealthReporterOptions> & Partial<Pick<RouterHandle, 'inspect'>> = {},
): HealthReporter {
  const { inspect = () => Promise.reject(new StowageError('NO_NODE')), ...rest } = options;
  return new HealthReporter({
    cluster: { topology, inspect },
    server: vitalsOf,
    signal: NEVER,
    ...rest,
  });
}

/** The pages of a server over such nodes; its report is made anew each time. */
export function pagesOver(
  health: Health,
  topology: RouterHandle['topology'],
  token?: string,
): PageServer {
  return servePages(healthPages(health, reporterOver(topology, { keepMs: 0 })), token);
}
