/** Every service that a server offers, over its router. */

import type { KeepingSettings } from '../config-keeping.js';
import type { RouterHandle } from '../postgres/router-handle.js';
import type { ServiceDefinition } from '../services/handler.js';
import { createServices } from '../services/index.js';
import type { HealthReporter } from '../store/health/reporter.js';
import type { AdminStore } from '../store/store.js';
import type { Log } from '../telemetry/log.js';

/** What the services work on. */
export interface ApiParts {
  readonly router: RouterHandle;
  readonly reporter: HealthReporter;
  readonly maintenance: AdminStore['maintenance'];
  readonly log: Log | undefined;
  readonly heartbeatMs: number;
  readonly keeping: KeepingSettings;
  /** Aborted when the server is told to stop. */
  readonly stopping: AbortSignal;
}

/** Makes the services. */
export function createApi({
  router,
  reporter,
  maintenance,
  log,
  heartbeatMs,
  keeping,
  stopping,
}: ApiParts): ServiceDefinition[] {
  return createServices({
    router,
    cluster: {
      topology: () => router.topology(),
      acceptTimeline: (...args) => router.acceptTimeline(...args),
      inspect: (...args) => router.inspect(...args),
      // A watch never ends by itself and loses nothing: no shutdown waits for it.
      watch: (signal, beatMs) => router.watch(AbortSignal.any([signal, stopping]), beatMs),
    },
    health: reporter,
    sealer: router.sealer,
    heartbeatMs,
    keeping,
    maintenance,
    logLevel: {
      get: () => log?.level ?? 'silent',
      set: (level, by) => log?.setLevel(level, by),
    },
  });
}
