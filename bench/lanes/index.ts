/** Every lane, in the order in which they run. A lane is a file of this folder and a line here. */

import type { Lane } from '../frame/lane.js';
import { append } from './append.js';
import { audit } from './audit.js';
import { exportLane } from './export.js';
import { failover } from './failover.js';
import { ingest } from './ingest.js';
import { list } from './list.js';
import { pointRead } from './point-read.js';
import { retention } from './retention.js';
import { router } from './router.js';
import { search } from './search.js';
import { searchCost } from './search-cost.js';
import { telemetry } from './telemetry.js';
import { wire } from './wire.js';

export const lanes: readonly Lane[] = [
  wire,
  pointRead,
  exportLane,
  list,
  search,
  ingest,
  append,
  searchCost,
  audit,
  retention,
  router,
  telemetry,
  failover,
];
