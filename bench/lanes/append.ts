/**
 * Events appended one by one, by many callers at once and by one alone. Naive peer: one INSERT a
 * call on a bare pool. Both run in this process, for it is the way from a call to its commit that
 * differs, not the transport. Work: events.
 */

import { create } from '@bufbuild/protobuf';
import pg from 'pg';
import { AuditEventSchema } from '../../gen/stowage/v1/audit_pb.js';
import { parseConfig } from '../../src/config.js';
import { until } from '../../src/lib/wait.js';
import { createRouter } from '../../src/postgres/router.js';
import { systemCall } from '../../src/postgres/system-call.js';
import { Appender } from '../../src/store/append-calls.js';
import { auditTable } from '../../src/store/append-table.js';
import { eventRow } from '../../src/store/event-row.js';
import type { Lane, Measures, Subject } from '../frame/lane.js';
import { median, quantile } from '../frame/statistics.js';
import type { BenchDatabase } from '../rig/database.js';
import { callInFlight } from '../rig/in-flight.js';
import type { Rig } from '../rig/rig.js';

const CALLERS = 64;
/** One of these many events stands for a call of the lonely caller, whose time counts alone. */
const EVENTS_PER_LONELY_CALL = 10;
/** As many as the server's own for unary calls. */
const POOL_CONNECTIONS = 14;
const READY_TIMEOUT_MS = 10_000;
const CALL_TIMEOUT_MS = 30_000;

type Append = (n: number) => Promise<unknown>;

export const append: Lane = {
  name: 'append',
  summary: 'AppendEvent by 64 callers and by one, beside one INSERT a call',
  rowsDefault: 5_000,
  rows: [
    {
      ...{ name: '64.rate', subject: '64', measure: 'callsPerS', unit: '/s' },
      ...{ against: '64-inserts', better: 'higher', must: 5, aim: 8 },
    },
    {
      ...{ name: '64.p99', subject: '64', measure: 'p99Ms', unit: 'ms' },
      ...{ against: '64-inserts', better: 'lower', must: 0.5 },
    },
    {
      ...{ name: 'one.p50', subject: 'one', measure: 'p50Ms', unit: 'ms' },
      ...{ against: 'one-insert', better: 'lower', must: 1.3, aim: 1.1 },
    },
  ],
  setup,
};

async function setup(rig: Rig): Promise<Readonly<Record<string, Subject>>> {
  const database = await rig.startDatabase();
  const ours = await ourAppend(rig, database);
  const insert = bareInsert(rig, database);
  const many = (call: Append) => () => timed(rig.rows, CALLERS, call);
  const one = (call: Append) => () => timed(Math.ceil(rig.rows / EVENTS_PER_LONELY_CALL), 1, call);
  return {
    '64': many(ours),
    '64-inserts': many(insert),
    one: one(ours),
    'one-insert': one(insert),
  };
}

async function timed(count: number, callers: number, call: Append): Promise<Measures> {
  const events = Array.from({ length: count }, (_, n) => n);
  const { wallMs, latenciesMs } = await callInFlight(events, callers, call);
  return {
    callsPerS: (count / wallMs) * 1000,
    p50Ms: median(latenciesMs),
    p99Ms: quantile(latenciesMs, 0.99),
  };
}

const eventOf = (n: number) => ({
  userId: `user-${n % 100}`,
  action: 'DOWNLOAD',
  objectKey: `documents/${n % 1000}.pdf`,
  ipAddress: '10.0.0.1',
  userAgent: 'bench',
  correlationId: `call-${n}`,
  metadata: { bytes: n },
});

async function ourAppend(rig: Rig, { serviceUrl }: BenchDatabase): Promise<Append> {
  const { postgres, keeping } = parseConfig({ DATABASE_URL: serviceUrl });
  const router = createRouter(postgres);
  await router.start();
  rig.defer(() => router.close());
  await until(() => router.topology().hasPrimary, {
    timeoutMs: READY_TIMEOUT_MS,
    what: 'the router knows the primary',
  });
  const events = new Appender({ router, keeping }, auditTable);
  return (n) => {
    const method = 'stowage.v1.AuditService/AppendEvent';
    const { signal } = new AbortController();
    const call = systemCall({ method, timeoutMs: CALL_TIMEOUT_MS, signal });
    return events.one(call, eventRow(create(AuditEventSchema, eventOf(n)), 'event', Date.now()));
  };
}

function bareInsert(rig: Rig, { primaryUrl }: BenchDatabase): Append {
  const pool = new pg.Pool({ connectionString: primaryUrl, max: POOL_CONNECTIONS });
  rig.defer(() => pool.end());
  const text = `
    insert into storage_audit (project_id, timestamp, id, user_id, action, object_key, ip_address,
                               user_agent, success, correlation_id, metadata)
    values ('default', now(), gen_random_uuid(), $1, $2, $3, $4, $5, true, $6, $7)`;
  return (n) => {
    const event = eventOf(n);
    const { userId, action, objectKey, ipAddress, userAgent, correlationId, metadata } = event;
    const values = [userId, action, objectKey, ipAddress, userAgent, correlationId, metadata];
    return pool.query({ name: 'insert-event', text, values });
  };
}
