/**
 * An archive of documents, from the first record to the last clean-up: objects, search, versions,
 * the audit trail, hooks and statistics. `npx tsx examples/archive.ts [address]` runs it against a
 * server; each step prints what it found.
 */

import { fileURLToPath } from 'node:url';
import {
  createStowage,
  PartitionSource,
  SearchSyntax,
  type Stowage,
  toStowageError,
} from 'stowage/client';

/** What the steps need of a client. */
type Services = Pick<Stowage, 'storage' | 'versions' | 'audit' | 'hooks' | 'admin'>;
type Print = (line: string) => void;

/** A project to work in, and where lines go. */
interface Archive extends Services {
  readonly project: string;
  readonly print: Print;
}

const invoice = 'documents/invoice-2024-001.pdf';

/** A read of what was written a moment ago, whichever client wrote it. */
const strong = { demand: { case: 'strong', value: true } } as const;

const sizeOf = (bytes: bigint): string => `${(Number(bytes) / 1024 / 1024).toFixed(2)} MB`;

async function recordAndRead({ storage, project, print }: Archive): Promise<void> {
  const { object } = await storage.recordObject({
    project,
    object: {
      objectKey: invoice,
      size: 524_288n,
      contentType: 'application/pdf',
      etag: 'd8e8fca2dc0f896fd7cb4cb0031ba249',
      versionId: 'v1',
      storageBackend: 's3',
      storageClass: 'STANDARD',
      metadata: { owner: 'ACME Corp', department: 'Finance', doc_type: 'Invoice' },
    },
  });
  print(`recorded ${object?.objectKey} at revision ${object?.revision}`);
  const read = await storage.getObject({ project, objectKey: invoice, freshness: strong });
  print(`${read.object?.size} bytes of ${read.object?.contentType}`);
  print(`metadata ${JSON.stringify(read.object?.metadata)}`);
  await storage.recordObject({
    project,
    object: { objectKey: 'photos/cat.jpg', size: 7n, storageBackend: 'local', etag: 'c1' },
  });
  const request = { project, prefix: 'documents/', pageSize: 100, freshness: strong };
  const { objects } = await storage.listObjects(request);
  for (const { objectKey, size } of objects) print(`listed ${objectKey}: ${size} bytes`);
  const inS3 = await storage.listObjects({ project, storageBackend: 's3', freshness: strong });
  print(`${inS3.objects.length} objects in s3`);
}

async function search({ storage, project, print }: Archive): Promise<void> {
  const { hits } = await storage.searchObjects({
    project,
    query: 'invoice & finance',
    syntax: SearchSyntax.TSQUERY,
    pageSize: 50,
    freshness: strong,
  });
  for (const { object, score } of hits) {
    print(`found ${object?.objectKey}${score > 0 ? ', scored' : ''}`);
  }
}

async function versions({ versions: service, project, print }: Archive): Promise<void> {
  await service.recordVersion({
    project,
    version: {
      objectKey: invoice,
      versionId: 'v2',
      size: 524_500n,
      etag: 'new-etag-here',
      isLatest: true,
      createdBy: 'john@example.com',
      comment: 'Updated with corrected amounts',
      tags: { reviewed: 'true', approved: 'true' },
    },
  });
  const request = { project, objectKey: invoice, freshness: strong };
  for (const version of (await service.listVersions(request)).versions) {
    const tags = Object.keys(version.tags).sort().join(' and ') || 'no tags';
    const comment = version.comment || 'no comment';
    print(`version ${version.versionId}: latest ${version.isLatest}, ${comment}, ${tags}`);
  }
  const diff = await service.diffVersions({ ...request, versionId: 'v1' });
  const paths = diff.differences.map(({ path }) => path);
  print(`from v1 to ${diff.otherVersionId} changed: ${paths.join(', ') || 'nothing'}`);
}

async function audit({ audit: service, project, print }: Archive): Promise<void> {
  await service.appendEvent({
    project,
    event: {
      action: 'DOWNLOAD',
      objectKey: invoice,
      userId: 'user123',
      username: 'john@example.com',
      ipAddress: '192.168.1.100',
      userAgent: 'Mozilla/5.0',
      metadata: { bytes: 524_500 },
    },
  });
  const filter = { objectKey: invoice, action: 'DOWNLOAD' };
  const { events } = await service.listEvents({ project, filter, freshness: strong });
  for (const { username, action } of events) print(`event: ${username} - ${action}`);
  const user = { project, userId: 'user123', freshness: strong };
  const activity = await service.getUserActivity(user);
  print(`user123 did ${activity.events} things in 7 days, with ${activity.bytes} bytes`);
  const trail = await service.listObjectTrail({ project, objectKey: invoice, freshness: strong });
  const kinds = trail.entries.map(({ entry }) => entry.case);
  print(`trail: ${['change', 'version', 'event'].filter((kind) => kinds.includes(kind as never))}`);
}

async function hooks({ hooks: service, project, print }: Archive): Promise<void> {
  const hook = { hookName: 'erp_sync', eventTypes: ['DOCUMENT_*'], keyPrefix: 'documents/' };
  await service.createHook({ project, hook }).catch((error: unknown) => {
    // Run again, it finds the hook there.
    if (toStowageError(error).reason !== 'ALREADY_EXISTS') throw error;
  });
  await service.logExecution({
    project,
    execution: {
      hookName: 'erp_sync',
      eventType: 'DOCUMENT_ARCHIVED',
      objectKey: invoice,
      executionTime: 0.342,
      success: true,
      response: { status: 'synced', erp_id: 'INV-2024-001' },
    },
  });
  const request = { project, hours: 24, freshness: strong };
  for (const stat of (await service.getHookStatistics(request)).statistics) {
    const counts = `${stat.totalExecutions} runs, ${stat.successful} well, ${stat.failed} failed`;
    const mean = (stat.avgExecutionTime ?? 0).toFixed(3);
    print(`${stat.hookName} for ${stat.eventType}: ${counts}, ${mean} s`);
  }
}

async function statistics({ storage, admin, project, print }: Archive): Promise<void> {
  const stats = await storage.getStatistics({ project, freshness: strong });
  for (const { storageBackend, objects, bytes } of stats.backends) {
    print(`${storageBackend}: ${objects?.value} objects, ${sizeOf(bytes?.value ?? 0n)}`);
  }
  print(`versions: ${stats.versions?.value}`);
  print(`hook executions in 24 h: ${stats.hookExecutions24h?.value}`);
  const { tables } = await admin.getTableStatistics({ limit: 1000 });
  const known = tables.filter(({ table }) => table === 'storage_audit');
  print(`sizes of tables: ${known.map(({ table }) => table)} among them`);
}

async function cleanUp({ storage, audit: service, project, print }: Archive): Promise<void> {
  const source = PartitionSource.STORAGE_AUDIT;
  const retention = service.applyRetention({ source, retentionDays: 365 }, { timeoutMs: 60_000 });
  for await (const { summary } of retention) {
    if (summary !== undefined) print(`old audit records removed: ${summary.rowsDeleted}`);
  }
  const gone = { project, objectKey: 'photos/cat.jpg' };
  const { object } = await storage.deleteObject(gone);
  print(`photos/cat.jpg deleted: ${object?.deletedAt !== undefined}`);
}

/** Does all of it in a project that is there. */
export async function runArchive(services: Services, project: string, print: Print): Promise<void> {
  const archive: Archive = { ...services, project, print };
  const steps = [recordAndRead, search, versions, audit, hooks, statistics, cleanUp];
  for (const step of steps) await step(archive);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await using stowage = createStowage({ endpoints: process.argv[2] ?? '127.0.0.1:50051' });
  await runArchive(stowage, 'default', (line) => console.log(line));
}
