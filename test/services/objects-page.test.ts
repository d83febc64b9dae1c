// The commands of docs/objects.md, run as they stand but for the port.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { blocksOf } from '../support/markdown-blocks.js';
import { startService, type TestService } from '../support/service.js';

const run = promisify(execFile);
const commands = blocksOf('docs/objects.md').filter(({ language }) => language === 'sh');

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

it('the page leads an object from update to move', async () => {
  const objectKey = 'documents/invoice-2024-001.pdf';
  const metadata = { doc_type: 'Invoice' };
  const object = { objectKey, storageBackend: 's3', etag: 'e', metadata };
  await service.doors.gRPC.storage.recordObject({ object });
  const answers = [];
  for (const { text } of commands) {
    const here = text.replaceAll('http://127.0.0.1:8080', service.httpUrl);
    const { stdout } = await run('bash', ['-euc', here]);
    answers.push(JSON.parse(stdout));
  }
  const [updated, deleted, undeleted, moved, renamed] = answers;
  expect(updated.object).toMatchObject({
    owner: 'finance',
    metadata: { doc_type: 'Invoice', paid: true },
    revision: '2',
  });
  expect(deleted.object).toMatchObject({ objectKey, revision: '3' });
  expect(undeleted.object).toEqual({ ...updated.object, revision: '4' });
  expect(moved.object).toMatchObject({ objectKey: 'archive/2024/invoice-001.pdf', revision: '1' });
  expect(renamed).toMatchObject({ moved: '1' });
  expect(answers).toHaveLength(5);
});
