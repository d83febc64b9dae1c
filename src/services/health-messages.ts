/** How a server and its nodes are, as messages. */

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { NodeSchema } from '../../gen/stowage/v1/cluster_pb.js';
import {
  type HealthFindingSchema,
  type HealthReportSchema,
  HealthSeverity,
  HealthStatus,
  type NodeHealth,
  type NodeHealthSchema,
  type ServerHealthSchema,
} from '../../gen/stowage/v1/health_pb.js';
import { fromMillis } from '../lib/timestamp.js';
import type { NodeSnapshot } from '../postgres/router-handle.js';
import type { Finding } from '../store/health/findings.js';
import type { HealthReport, ServerVitals } from '../store/health/report.js';
import { nodeMessage } from './topology-messages.js';

const statuses = {
  ok: HealthStatus.OK,
  degraded: HealthStatus.DEGRADED,
  down: HealthStatus.DOWN,
} as const satisfies Record<HealthReport['status'], HealthStatus>;

const severities = {
  warning: HealthSeverity.WARNING,
  error: HealthSeverity.ERROR,
} as const satisfies Record<Finding['severity'], HealthSeverity>;

/** The whole report. */
export function healthMessage(report: HealthReport): MessageInitShape<typeof HealthReportSchema> {
  const { status, canRead, canWrite, atMs, server, topology, told, findings } = report;
  return {
    status: statuses[status],
    canRead,
    canWrite,
    serverTime: fromMillis(atMs),
    server: serverMessage(server),
    nodes: topology.nodes.map((node) => nodeHealthMessage(node, told.get(node.name))),
    findings: findings.map(findingMessage),
  };
}

function serverMessage({
  version,
  startedAtMs,
  unaryCalls,
  streams,
  eventLoopDelayMs,
  heapUsedBytes,
  rssBytes,
}: ServerVitals): MessageInitShape<typeof ServerHealthSchema> {
  return {
    version,
    startedAt: fromMillis(startedAtMs),
    unaryCalls,
    streams,
    eventLoopDelayMs,
    heapUsedBytes: BigInt(heapUsedBytes),
    rssBytes: BigInt(rssBytes),
  };
}

function nodeHealthMessage(
  snapshot: NodeSnapshot,
  told: NodeHealth | undefined,
): MessageInitShape<typeof NodeHealthSchema> {
  const node = create(NodeSchema, nodeMessage(snapshot));
  return told === undefined ? { node } : { ...told, node };
}

function findingMessage({
  severity,
  code,
  node,
  message,
}: Finding): MessageInitShape<typeof HealthFindingSchema> {
  return { severity: severities[severity], code, node, message };
}
