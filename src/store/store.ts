/** What the functions of this room work on. */

import type { KeepingSettings } from '../config-keeping.js';
import type { Call } from '../postgres/call.js';
import type { Maintenance } from '../postgres/maintenance.js';
import type { Router } from '../postgres/router-api.js';
import type { RouterHandle } from '../postgres/router-handle.js';
import type { Sealer } from '../postgres/sealed.js';
import type { HealthReporter } from './health/reporter.js';

/** The database, the maker of page and resume tokens, and what of the settings bears on data. */
export interface Store {
  readonly router: Router;
  readonly sealer: Sealer;
  /** How long a stream may be silent before it sends a heartbeat, in ms. */
  readonly heartbeatMs: number;
  /** What is kept of what happens. */
  readonly keeping: KeepingSettings;
}

/** A store that also knows the nodes; who only reads and writes data needs none. */
export interface ClusterStore extends Store {
  readonly cluster: Pick<RouterHandle, 'topology' | 'watch' | 'acceptTimeline' | 'inspect'>;
  readonly health: Pick<HealthReporter, 'report'>;
}

/** The log's levels, from the most to the least. */
export type LogLevelName = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** How much the process logs, as it can be changed while it runs. */
export interface LogLevelControl {
  get(): LogLevelName;
  /** The log tells of it, and by whom. */
  set(level: LogLevelName, by: Pick<Call, 'requestId' | 'principal' | 'trace'>): void;
}

/** What operators look at and look after. */
export interface AdminStore extends ClusterStore {
  readonly logLevel: LogLevelControl;
  /** The answering server's jobs. */
  readonly maintenance: Pick<Maintenance, 'begin' | 'get' | 'list' | 'cancel' | 'ownerLogin'>;
}
