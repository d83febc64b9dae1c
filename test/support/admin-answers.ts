/** Answers of a cluster that has something of everything, as docs/cli.md shows it. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type GetActivityResponseSchema,
  type GetDatabaseStatisticsResponseSchema,
  type GetHealthResponseSchema,
  type GetIndexStatisticsResponseSchema,
  type GetReplicationStatusResponseSchema,
  type GetRiskySettingsResponseSchema,
  type GetStatementStatisticsResponseSchema,
  type GetTableStatisticsResponseSchema,
  HealthSeverity,
  HealthStatus,
  type ListMaintenanceJobsResponseSchema,
  MaintenanceKind,
  MaintenanceState,
  NodeState,
} from '../../src/client/index.js';

/** When the answers came. */
export const answeredAt = new Date('2024-03-06T10:00:00Z');

/** So many seconds before that. */
export const ago = (seconds: number) => ({
  seconds: BigInt(answeredAt.getTime() / 1000 - seconds),
  nanos: 0,
});

const node = 'db1:5432';
const hour = 3_600;
const day = 24 * hour;
const mib = 1_048_576n;

export const database: MessageInitShape<typeof GetDatabaseStatisticsResponseSchema> = {
  node,
  database: 'stowage',
  sizeBytes: 13_314_398_617n,
  heapHitRatio: 0.9921,
  indexHitRatio: 0.99987,
  committed: 1_204_133n,
  rolledBack: 312n,
  deadlocks: 2n,
  temporaryBytes: 1_610_612_736n,
  sessions: { idle: 19, active: 3, 'idle in transaction': 1 },
  sessionsMax: 100,
  resetAt: ago(23 * day),
};

export const tables: MessageInitShape<typeof GetTableStatisticsResponseSchema> = {
  node,
  total: 13,
  tables: [
    {
      ...{ table: 'storage_objects', totalBytes: 8_294n * mib, tableBytes: 5_632n * mib },
      ...{ indexBytes: 2_662n * mib, liveRows: 12_345_678n, deadRows: 151_234n },
      ...{ bloatBytes: 312n * mib, sequentialScans: 4n, indexScans: 90_112_345n },
      ...{ vacuumedAt: ago(2 * hour), analyzedAt: ago(2 * hour) },
    },
    {
      ...{ table: 'storage_audit', partitions: 14, totalBytes: 2_355n * mib },
      ...{ tableBytes: 1_744n * mib, indexBytes: 611n * mib, liveRows: 9_822_411n },
      ...{ deadRows: 0n, bloatBytes: 0n, sequentialScans: 31n, indexScans: 822n },
      ...{ vacuumedAt: ago(9 * day), analyzedAt: ago(9 * day) },
    },
    {
      ...{ table: 'request_log', totalBytes: 1_204n * mib, tableBytes: 980n * mib },
      ...{ indexBytes: 224n * mib, liveRows: 411_922n, deadRows: 702_113n },
      ...{ bloatBytes: 590n * mib, sequentialScans: 0n, indexScans: 1_204_133n },
      ...{ vacuumedAt: ago(26 * hour), analyzedAt: ago(7 * hour) },
    },
    {
      ...{ table: 'projects', totalBytes: 131_072n, tableBytes: 8_192n, indexBytes: 65_536n },
      ...{ liveRows: 12n, deadRows: 9n, sequentialScans: 88_211n, indexScans: 1n },
    },
  ],
};

export const indexes: MessageInitShape<typeof GetIndexStatisticsResponseSchema> = {
  node,
  total: 4,
  nodes: [node, 'db2:5432', 'db3:5432'],
  indexes: [
    {
      ...{ index: 'storage_objects_pkey', table: 'storage_objects', sizeBytes: 1_187n * mib },
      ...{ scans: 31_204_112n, clusterScans: 90_112_345n, unique: true, valid: true },
      ...{ bloatBytes: 520n * mib, definition: 'CREATE UNIQUE INDEX storage_objects_pkey ON …' },
    },
    {
      ...{ index: 'storage_objects_by_size', table: 'storage_objects', sizeBytes: 702n * mib },
      ...{ valid: true, definition: 'CREATE INDEX storage_objects_by_size ON …' },
    },
    {
      ...{ index: 'storage_audit_by_time', table: 'storage_audit', partitions: 14 },
      ...{ sizeBytes: 611n * mib, scans: 822n, clusterScans: 902n, valid: true },
      ...{ bloatBytes: 12n * mib, definition: 'CREATE INDEX storage_audit_by_time ON …' },
    },
    {
      ...{ index: 'storage_objects_by_modified_ccnew', table: 'storage_objects' },
      ...{ sizeBytes: 301n * mib, definition: 'CREATE INDEX …' },
    },
  ],
};

export const activity: MessageInitShape<typeof GetActivityResponseSchema> = {
  node,
  total: 23,
  sessions: [
    {
      ...{ pid: 4711, user: 'alice', application: 'psql', address: '10.0.0.7', blocks: 2 },
      ...{ state: 'idle in transaction', wait: 'Client: ClientRead' },
      ...{ statementMs: 725_000, transactionMs: 901_000 },
      statement: "update storage_objects\n   set owner = $1\n where project_id = 'default'",
    },
    {
      ...{ pid: 4802, user: 'stowage', application: 'stowage RecordObject' },
      ...{ address: '10.0.0.5', state: 'active', wait: 'Lock: transactionid' },
      ...{ statementMs: 4_120, transactionMs: 4_122, blockedBy: [4711] },
      statement:
        'insert into storage_objects (project_id, object_key, storage_backend, size, etag, ' +
        'content_type, metadata) select * from unnest($1, $2, $3, $4, $5, $6, $7)',
    },
    {
      ...{ pid: 4803, user: 'backup', application: 'pg_dump', state: 'active' },
      ...{ wait: 'IO: DataFileRead', statementMs: 61_000, transactionMs: 62_000 },
    },
  ],
};

export const statements: MessageInitShape<typeof GetStatementStatisticsResponseSchema> = {
  node,
  available: true,
  statements: [
    {
      ...{ name: 'objects.get', calls: 22_511_312n, totalMs: 1_125_565, meanMs: 0.05 },
      ...{ maxMs: 812.4, rows: 22_400_001n, hitRatio: 0.9991 },
      text: 'select project_id, object_key, storage_backend, size, etag from storage_objects',
    },
    {
      ...{ calls: 3n, totalMs: 184_000, meanMs: 61_333, maxMs: 71_000, rows: 37_000_000n },
      ...{ hitRatio: 0.121, text: 'COPY storage_objects TO STDOUT' },
    },
  ],
};

export const replication: MessageInitShape<typeof GetReplicationStatusResponseSchema> = {
  synchronousStandbyNames: 'ANY 1 (standby1, standby2)',
  silentNodes: ['db3:5432'],
  links: [
    {
      ...{ node, receiver: 'standby1', address: '10.0.0.2', state: 'streaming' },
      ...{ syncState: 'quorum', sendLagBytes: 0n, flushLagBytes: 0n, replayLagBytes: 96n },
      ...{ replayLagMs: 1.2, slot: 'standby1', slotRetainedBytes: 16n * mib },
      slotWalStatus: 'reserved',
    },
    {
      ...{ node, slot: 'standby2', slotRetainedBytes: 9_420n * mib, slotWalStatus: 'extended' },
    },
  ],
};

export const settings: MessageInitShape<typeof GetRiskySettingsResponseSchema> = {
  settings: [
    ...[node, 'db2:5432'].map((each) => ({
      ...{ node: each, setting: 'full_page_writes', value: 'off' },
      risk: 'A crash may leave pages that are half old and half new; set it on.',
    })),
    {
      ...{ node, setting: 'max_slot_wal_keep_size', value: '-1', needsRestart: false },
      risk:
        'A slot that nobody reads from keeps log until the disk is full; set it to what the disk ' +
        'can spare.',
    },
  ],
};

export const health: MessageInitShape<typeof GetHealthResponseSchema> = {
  report: {
    status: HealthStatus.DEGRADED,
    canRead: true,
    canWrite: true,
    serverTime: ago(0),
    findings: [
      {
        ...{ severity: HealthSeverity.ERROR, code: 'NODE_UNREACHABLE', node: 'db3:5432' },
        message: 'It has not answered for 4 min; start it, or take it out of the nodes.',
      },
      {
        ...{ severity: HealthSeverity.WARNING, code: 'CONNECTIONS_NEARLY_USED', node },
        message:
          '93 of 100 connections are open; raise max_connections, or lower POSTGRES_MAX_CONN of ' +
          'each server.',
      },
    ],
    server: {
      ...{ version: '0.1.0', startedAt: ago(3 * hour), unaryCalls: 12, streams: 3 },
      ...{ eventLoopDelayMs: 1.2, heapUsedBytes: 45n * mib, rssBytes: 121n * mib },
    },
    nodes: [
      {
        node: { name: node, state: NodeState.PRIMARY, lagBytes: 0n },
        observedAt: ago(0),
        serverVersion: '18.4',
        connections: { total: 93, active: 7, waitingForLock: 2, max: 100, reserved: 3 },
        activity: { cacheHitRatio: 0.9921, sizeBytes: 12_697n * mib },
        wal: { slotsRetainedBytes: 16n * mib },
      },
      {
        node: { name: 'db2:5432', state: NodeState.STANDBY, lagBytes: 1_536n },
        observedAt: ago(0),
        serverVersion: '18.4',
        connections: { total: 11, active: 1, max: 100, reserved: 3 },
        activity: { cacheHitRatio: 0.9733, sizeBytes: 12_697n * mib },
        wal: {},
      },
      { node: { name: 'db3:5432', state: NodeState.UNREACHABLE } },
    ],
  },
};

const id = (digit: number) => `0193b2c4-7c00-7000-8000-00000000000${digit}`;

export const jobs: MessageInitShape<typeof ListMaintenanceJobsResponseSchema> = {
  jobs: [
    {
      ...{ jobId: id(3), kind: MaintenanceKind.VACUUM, target: 'storage_objects' },
      ...{ state: MaintenanceState.RUNNING, phase: 'scanning heap', done: 324_311n },
      ...{ total: 720_896n, unit: 'blocks', startedAt: ago(42), principal: 'anonymous' },
    },
    {
      ...{ jobId: id(2), kind: MaintenanceKind.REINDEX, target: 'storage_objects_pkey' },
      ...{ state: MaintenanceState.FAILED, startedAt: ago(300), endedAt: ago(297) },
      ...{ principal: 'anonymous', error: 'The database has run out of disk or memory.' },
    },
    {
      ...{ jobId: id(1), kind: MaintenanceKind.ANALYZE, target: 'projects' },
      ...{ state: MaintenanceState.SUCCEEDED, startedAt: ago(9_000), endedAt: ago(8_999) },
      principal: 'anonymous',
    },
  ],
};
