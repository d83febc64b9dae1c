/** What a server tells of its calls: spans of their statements, ids in its log, the log's level. */

import { randomBytes } from 'node:crypto';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AdminService, LogLevel } from '../../gen/stowage/v1/admin_service_pb.js';
import { createStowage, type Stowage } from '../../src/client/index.js';
import { until } from '../../src/lib/wait.js';
import { type Log, startLog } from '../../src/telemetry/log.js';
import { sharedCluster } from '../support/cluster.js';
import {
  type DoorName,
  doorNames,
  failure,
  startService,
  strong,
  type TestService,
  untilWaiting,
} from '../support/service.js';
import { type CollectedSpan, type Collector, startCollector } from '../support/trace-collector.js';

describe('A server that is looked at', () => {
  let collector: Collector;
  let log: Log;
  let service: TestService;
  let stowage: Stowage;
  const lines: Record<string, unknown>[] = [];

  beforeAll(async () => {
    collector = await startCollector();
    log = startLog('info', { write: (line) => void lines.push(JSON.parse(line)) });
    const environment = {
      STOWAGE_TRACE_RATIO: '0',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    };
    service = await startService(environment, sharedCluster(), { log });
    stowage = createStowage({ endpoints: service.grpcTarget });
  });

  afterAll(async () => {
    stowage?.close();
    await service?.[Symbol.asyncDispose]();
    log?.stop();
    await collector?.[Symbol.asyncDispose]();
  });

  const nodes = (role: string) =>
    sharedCluster()
      .nodes.filter((node) => node.role === role)
      .map(({ host, port }) => `${host}:${port}`);
  const admin = (door: DoorName) =>
    createClient(
      AdminService,
      door === 'gRPC'
        ? stowage.transport
        : createConnectTransport({ baseUrl: service.httpUrl, httpVersion: '1.1' }),
    );

  function inTrace() {
    const traceId = randomBytes(16).toString('hex');
    const spanId = randomBytes(8).toString('hex');
    const headers = { traceparent: `00-${traceId}-${spanId}-01` };
    /** The spans of the trace, once that of its call is there. */
    const spans = async () => {
      const ofTrace = () => collector.spans.filter((span) => span.traceId === traceId);
      const isThere = () => ofTrace().some(({ kind }) => kind === 'server');
      await until(isThere, { timeoutMs: 10_000, what: 'the spans are there' });
      const call = ofTrace().find(({ kind }) => kind === 'server') as CollectedSpan;
      return { call, statements: ofTrace().filter(({ kind }) => kind === 'client') };
    };
    return { traceId, spanId, headers, spans };
  }

  describe.each(doorNames)('at the door %s', (door) => {
    const storage = () => service.doors[door].storage;
    const objectKey = `traced/${door}`;

    it('has a span for each statement below that of the call, with node and role', async () => {
      const [writing, reading] = [inTrace(), inTrace()];
      const object = { objectKey, storageBackend: 's3' };
      await storage().recordObject({ object }, writing);
      await service.waitUntilCaughtUp();
      const freshness = { demand: { case: 'eventual', value: true } } as const;
      await storage().getObject({ objectKey, freshness }, reading);
      const written = await writing.spans();
      expect(written.call.parentSpanId).toBe(writing.spanId);
      expect(written.statements.map(({ name }) => name)).toContain('transaction');
      expect(written.statements.length).toBeGreaterThan(2);
      for (const span of written.statements) {
        expect(span).toMatchObject({
          parentSpanId: written.call.spanId,
          isError: false,
          attributes: {
            'db.system.name': 'postgresql',
            'stowage.statement': span.name,
            'stowage.node': nodes('primary')[0],
            'stowage.role': 'primary',
            'stowage.attempt': 1,
          },
        });
        expect(span.startMs).toBeGreaterThanOrEqual(written.call.startMs);
        expect(span.endMs).toBeLessThanOrEqual(written.call.endMs);
      }
      const { call, statements } = await reading.spans();
      expect(statements).toMatchObject([
        {
          parentSpanId: call.spanId,
          attributes: { 'stowage.role': 'standby', 'db.response.returned_rows': 1 },
        },
      ]);
      expect(nodes('standby')).toContain(statements[0]?.attributes['stowage.node']);
    });

    it('has a span for each attempt of a read', async () => {
      await storage().recordObject({ object: { objectKey, storageBackend: 's3' } });
      const trace = inTrace();
      const locker = await service.database.connect();
      await locker.query('begin');
      await locker.query('lock table storage_objects in access exclusive mode');
      const reading = storage().getObject({ objectKey, freshness: strong }, trace);
      await untilWaiting(service, 'GetObject');
      await service.sql(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name like '%/GetObject'`,
      );
      await locker.end();
      expect((await reading).object?.objectKey).toBe(objectKey);
      const { call, statements } = await trace.spans();
      expect(call.isError).toBe(false);
      expect(statements).toMatchObject([
        { name: statements[1]?.name, isError: true, attributes: { 'stowage.attempt': 1 } },
        { isError: false, attributes: { 'stowage.attempt': 2, 'stowage.role': 'primary' } },
      ]);
    });

    it('has request id and trace id in the log line and in the error of a call', async () => {
      const trace = inTrace();
      const error = await failure(storage().getObject({ objectKey: 'none' }, trace));
      const { request_id: requestId } = error.metadata;
      expect(error.metadata).toMatchObject({ trace_id: trace.traceId });
      const ids = { requestId, traceId: trace.traceId };
      expect(lines.filter((line) => line['requestId'] === requestId)).toMatchObject([
        {
          ...ids,
          level: 'warn',
          code: 'NOT_FOUND',
          reason: 'OBJECT_NOT_FOUND',
          msg: 'call failed',
        },
      ]);
    });

    it('changes the level of its log, which the log tells whatever the level', async () => {
      const { getLogLevel, setLogLevel } = admin(door);
      lines.length = 0;
      expect(await setLogLevel({ level: LogLevel.ERROR })).toMatchObject({
        formerLevel: LogLevel.INFO,
      });
      await storage().listObjects({});
      await failure(storage().getObject({ objectKey: 'none' }));
      expect(await getLogLevel({})).toMatchObject({ level: LogLevel.ERROR });
      await setLogLevel({ level: LogLevel.INFO });
      await storage().listObjects({});
      expect(lines).toMatchObject([
        { level: 'info', from: 'info', to: 'error', principal: 'anonymous', msg: 'log level set' },
        { level: 'info', from: 'error', to: 'info', msg: 'log level set' },
        { method: 'stowage.v1.AdminService/SetLogLevel', requestId: lines[1]?.['requestId'] },
        { method: 'stowage.v1.StorageService/ListObjects', code: 'OK', msg: 'call served' },
      ]);
    });
  });
});
