/**
 * The one table of metrics: every figure that the server tells of itself, with its unit, its labels
 * and what to do when it is off. docs/metrics.md is rendered from it. Instruments are made from it,
 * so that no figure is told that is not here, and none is here that is not told.
 */

import { callMetrics, statementMetrics } from './metric-rows-calls.js';
import { clusterMetrics, poolMetrics } from './metric-rows-cluster.js';
import { processMetrics } from './metric-rows-process.js';

/** The groups of docs/metrics.md, in its order; each key is a heading. */
export const metricGroups = {
  Calls: callMetrics,
  Statements: statementMetrics,
  Pools: poolMetrics,
  'Nodes and router': clusterMetrics,
  Process: processMetrics,
} as const;

/** Every metric, by its OpenTelemetry name. */
export const metricTable = {
  ...callMetrics,
  ...statementMetrics,
  ...poolMetrics,
  ...clusterMetrics,
  ...processMetrics,
} as const;

/** The name of a metric. */
export type MetricName = keyof typeof metricTable;
