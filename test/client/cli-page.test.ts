/** The examples of docs/cli.md, run one after another: each must print just what the page shows. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KeepingLine, runKeepingAt } from '../support/keeping-door.js';
import { blocksOf } from '../support/markdown-blocks.js';
import { type CommandLine, runAt } from '../support/object-commands.js';
import { startService, type TestService } from '../support/service.js';

let service: TestService;

beforeAll(async () => {
  service = await startService();
  await recordExamples();
});

afterAll(async () => {
  await service?.[Symbol.asyncDispose]();
});

const document = { storageBackend: 'local', contentType: 'application/pdf' };
const picture = { storageBackend: 'local', contentType: 'image/jpeg' };
const copied = { ...picture, size: 3_145_728n, etag: '6f5902ac237024bdd0c176cb93063dc4' };
const stored = { storageBackend: 's3', storageClass: 'STANDARD', contentType: 'application/pdf' };

/** Objects of the page, each with the day of March 2024 on which it changed. */
const examples = [
  [1, 'documents/Rechnung Größe.pdf', { ...document, size: 20_480n, etag: 'b1' }],
  [
    2,
    'documents/invoice-2024-001.pdf',
    {
      ...stored,
      size: 524_288n,
      etag: 'd8e8fca2dc0f896fd7cb4cb0031ba249',
      versionId: '3sL4kqtJlcpXroDTDmJ',
      metadata: { owner: 'ACME Corp', doc_type: 'Invoice' },
    },
  ],
  [3, 'documents/счёт-фактура.pdf', { ...stored, size: 700n, etag: 'b3' }],
  [4, 'documents/2023/report.pdf', { ...stored, size: 1_048_576n, etag: 'b4' }],
  [5, 'photos/发票.jpg', copied],
  [5, 'photos/copy of 发票.jpg', copied],
  [5, 'photos/party.jpg', { ...picture, size: 2_097_152n, etag: 'b6' }],
] as const;

async function recordExamples(): Promise<void> {
  const requests = examples.map(([day, objectKey, fields]) => {
    const lastModified = { seconds: BigInt(Date.UTC(2024, 2, day, 9) / 1000) };
    return { object: { objectKey, lastModified, ...fields } };
  });
  await service.doors.gRPC.storage.batchRecordObjects({ requests });
}

interface Example {
  readonly line: CommandLine | KeepingLine;
  readonly expected: string;
}

/** Words as a shell takes them; the page quotes with `'` only. */
function wordsOf(text: string): string[] {
  return [...text.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

const pageExamples: Example[] = blocksOf('docs/cli.md')
  .filter(({ language }) => language === 'console')
  .flatMap(({ text }) => text.split(/^\$ stowage /m).slice(1))
  .map((example) => {
    const [command = '', ...rest] = example.split('\n');
    return { line: wordsOf(command) as unknown as Example['line'], expected: rest.join('\n') };
  });

/** What differs from run to run: the id, and when the object was recorded. */
const masked = (text: string): string =>
  text
    .replace(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, 'ID')
    .replace(/^((?:created|updated) +).*/gm, '$1TIME');

describe('docs/cli.md', () => {
  it('shows each command', () => {
    const names = new Set(pageExamples.map(({ line }) => line[0]));
    const ofObjects = ['du', 'get', 'ls', 'mv', 'rm', 'search', 'stats', 'version', 'versions'];
    expect([...names].sort()).toEqual([...ofObjects, 'hooks'].sort());
  });

  it.each(pageExamples)('$line prints what the page shows', async ({ line, expected }) => {
    const isKeeping = (given: Example['line']): given is KeepingLine =>
      ['versions', 'version', 'audit', 'hooks'].includes(given[0]);
    const { stdout, stderr } = isKeeping(line)
      ? await runKeepingAt(service.grpcTarget, line)
      : await runAt(service.grpcTarget, line);
    expect(masked(stdout + stderr)).toBe(masked(expected));
  });
});
