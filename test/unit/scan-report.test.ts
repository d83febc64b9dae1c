import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { createJsonReport, createTextReport, type Report } from '../../src/cli/scan/report.js';
import type { ScanResult } from '../../src/cli/scan/run.js';
import { newTally } from '../../src/cli/scan/tally.js';

const context = {
  root: Buffer.from('/r'),
  server: 'localhost:1',
  project: 'default',
  prefix: 'p/',
  backend: 'local',
};

const result: ScanResult = {
  tally: { ...newTally(), files: 7, bytes: 2048n, unchanged: 3, missing: 2, skipped: 1 },
  recorded: { created: 1, updated: 2, unchanged: 1 },
  isInterrupted: false,
};

type Create = typeof createTextReport;

async function reported(create: Create, act: (report: Report) => Promise<void>): Promise<string> {
  const stream = new PassThrough({ highWaterMark: 1_000_000 });
  await act(create(stream, context));
  stream.end();
  return text(stream);
}

const invalid = Buffer.concat([Buffer.from('/r/a\n'), Buffer.from([0xe9])]);

describe('the text report', () => {
  it('tells the counts, with what was found unchanged and what was acknowledged so', async () => {
    const out = await reported(createTextReport, (report) => report.end(result, 2, 0));
    expect(out).toBe(
      '1 added, 2 changed, 4 unchanged, 2 missing, 1 skipped\n' +
        '7 files, 2.0 KiB, 0 B digested in 2.0 s: 4 files/s\n' +
        'Run again with --delete to delete the records of missing files.\n',
    );
  });

  it('shows names without what a terminal acts on, below the root', async () => {
    const out = await reported(createTextReport, async (report) => {
      await report.skip({ path: invalid, reason: 'not-utf8' });
      await report.skip({ path: Buffer.from('/r/f'), reason: 'unreadable', detail: 'EACCES' });
      await report.missing('p/\u001b[2J', true);
      await report.end(undefined, 1, 1);
    });
    expect(out).toBe(
      'Skipped because of an error:\n' +
        '  a\\n\\xe9: name is not valid UTF-8\n' +
        '  f: cannot be read (EACCES)\n' +
        'Recorded, but missing in the tree:\n' +
        '  p/\\x1b[2J: deleted\n',
    );
  });

  it('shows the first 20 of a kind and counts the rest', async () => {
    const out = await reported(createTextReport, async (report) => {
      for (let number = 0; number < 1025; number += 1) {
        await report.skip({ path: Buffer.from(`/r/${number}`), reason: 'symbolic-link' });
      }
      await report.end(undefined, 1, 0);
    });
    expect(out.split('\n')).toHaveLength(1 + 20 + 1 + 1);
    expect(out).toContain('  19: symbolic link\n  and 1,005 more: --json lists them all\n');
  });
});

describe('the JSON report', () => {
  it('holds nothing that a terminal acts on, and says the same', async () => {
    const key = 'p/\u009b2J\u202e\u{e0001}';
    const out = await reported(createJsonReport, async (report) => {
      await report.missing(key, false);
      await report.end(undefined, 1, 1);
    });
    expect(out).not.toMatch(/[\u0080-\uffff]/);
    expect(JSON.parse(out).findings[0].object_key).toBe(key);
  });

  it('is one document with every finding and the counts', async () => {
    const out = await reported(createJsonReport, async (report) => {
      await report.skip({ path: invalid, reason: 'not-utf8' });
      await report.missing('p/x', false);
      await report.end(result, 2, 3);
    });
    expect(JSON.parse(out)).toMatchObject({
      directory: '/r',
      prefix: 'p/',
      findings: [
        {
          kind: 'skipped',
          path: 'a\\n\\xe9',
          path_base64: Buffer.from('a\n\xe9', 'latin1').toString('base64'),
          reason: 'not-utf8',
          error: true,
        },
        { kind: 'missing', object_key: 'p/x', deleted: false },
      ],
      added: 1,
      changed: 2,
      unchanged: 4,
      files_per_second: 3.5,
      exit_code: 3,
    });
  });

  it('is whole where nothing was found and where the scan failed', async () => {
    const good = await reported(createJsonReport, (report) => report.end(result, 1, 0));
    expect(JSON.parse(good)).toMatchObject({ findings: [], files: 7 });
    const failed = await reported(createJsonReport, (report) => report.end(undefined, 1, 1));
    expect(JSON.parse(failed)).toMatchObject({ findings: [], exit_code: 1 });
  });
});
