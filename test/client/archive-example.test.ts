// examples/archive.ts at both doors, and the pages on what it uses, run as they stand.
import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runArchive } from '../../examples/archive.js';
import { blocksOf } from '../support/markdown-blocks.js';
import { doorNames, startService, type TestService } from '../support/service.js';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');

let service: TestService;

beforeAll(async () => {
  service = await startService({
    STOWAGE_SECRETS_KEY: Buffer.alloc(32, 'k').toString('base64'),
  });
});

afterAll(async () => {
  await service?.[Symbol.asyncDispose]();
});

describe.each(doorNames)('examples/archive.ts at the %s door', (door) => {
  it('records, finds, compares, audits, hooks, counts and cleans up', async () => {
    const project = `archive-${door.toLowerCase()}`;
    await service.doors.gRPC.projects.createProject({ project: { project } });
    const lines: string[] = [];
    await runArchive(service.doors[door], project, (line) => lines.push(line));
    expect(lines).toEqual([
      'recorded documents/invoice-2024-001.pdf at revision 1',
      '524288 bytes of application/pdf',
      expect.stringMatching(/^metadata \{.*"owner":"ACME Corp".*\}$/),
      'listed documents/invoice-2024-001.pdf: 524288 bytes',
      '1 objects in s3',
      'found documents/invoice-2024-001.pdf, scored',
      'version v2: latest true, Updated with corrected amounts, approved and reviewed',
      'version v1: latest false, no comment, no tags',
      expect.stringMatching(/^from v1 to v2 changed: etag, last_modified, size$/),
      'event: john@example.com - DOWNLOAD',
      'user123 did 1 things in 7 days, with 524500 bytes',
      'trail: change,version,event',
      'erp_sync for DOCUMENT_ARCHIVED: 1 runs, 1 well, 0 failed, 0.342 s',
      'local: 1 objects, 0.00 MB',
      's3: 1 objects, 0.50 MB',
      'versions: 3',
      'hook executions in 24 h: 1',
      'sizes of tables: storage_audit among them',
      'old audit records removed: 0',
      'photos/cat.jpg deleted: true',
    ]);
  });
});

/** The text with this server's ports. */
const here = (text: string): string =>
  text
    .replaceAll('http://127.0.0.1:8080', service.httpUrl)
    .replaceAll('127.0.0.1:50051', service.grpcTarget);

describe.each(['versions', 'audit', 'hooks'])('docs/%s.md', (page) => {
  const blocks = blocksOf(`docs/${page}.md`);

  it('calls what its curl lines call, one after another', async () => {
    const object = { storageBackend: 's3', metadata: { doc_type: 'Invoice' } };
    for (const versionId of ['v1', 'v2']) {
      const objectKey = 'documents/invoice-2024-001.pdf';
      const etag = `${page} ${versionId}`;
      const recorded = { object: { ...object, objectKey, versionId, etag } };
      await service.doors.gRPC.storage.recordObject(recorded);
    }
    const commands = blocks.filter(({ language }) => language === 'sh').map(({ text }) => text);
    expect(commands.length).toBeGreaterThan(0);
    for (const command of commands) {
      const { stdout } = await run('bash', ['-euc', here(command)], { cwd: root });
      expect(JSON.parse(stdout), command).not.toHaveProperty('code');
    }
  });

  it('runs its program', async () => {
    const programs = blocks.filter(({ language }) => language === 'ts');
    const program = programs[0]?.text ?? '';
    // Inside the package, so that `stowage/client` is found as an installed package would be.
    const folder = join(root, '.cache', 'pages');
    const file = join(folder, `${page}.ts`);
    await mkdir(folder, { recursive: true });
    try {
      await writeFile(file, here(program));
      const lines: unknown[] = [];
      using _log = vi.spyOn(console, 'log').mockImplementation((line) => void lines.push(line));
      await import(pathToFileURL(file).href);
      expect(lines).not.toEqual([]);
    } finally {
      await rm(file, { force: true });
    }
  });
});
