/** `stowage ls`, `get`, `search`, `rm`, `mv`, `du` and `stats` against a real server. */

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CommandLine, linesOf, runAt } from '../support/object-commands.js';
import { mainFile } from '../support/program.js';
import { startService, type TestService } from '../support/service.js';
import type { Ran, Surroundings } from '../support/shell.js';
import { openStorageDoor } from '../support/storage-door.js';

let service: TestService;
let server: string;
let storage: TestService['doors']['gRPC']['storage'];
let project: string;
let projects = 0;

beforeAll(async () => {
  service = await startService();
  server = service.grpcTarget;
  storage = service.doors.gRPC.storage;
});

afterAll(async () => {
  await service?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  projects += 1;
  project = `cli-${projects}`;
  await service.doors.gRPC.projects.createProject({ project: { project } });
});

function stowage(line: CommandLine, surroundings?: Surroundings): Promise<Ran> {
  return runAt(server, [...line, '--project', project], surroundings);
}

/** What a command prints that must succeed and has nothing to complain of. */
async function printed(...line: CommandLine): Promise<string> {
  const { exitCode, stdout, stderr } = await stowage(line);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return stdout;
}

const keysOf = (json: string): string[] =>
  linesOf(json).map((line) => {
    const { objectKey, folder, object } = JSON.parse(line);
    return objectKey ?? folder ?? object.objectKey;
  });

async function record(keys: readonly string[], bytes = (_: number) => 10): Promise<void> {
  for (let start = 0; start < keys.length; start += 1000) {
    const requests = keys.slice(start, start + 1000).map((objectKey, index) => ({
      object: {
        objectKey,
        size: BigInt(bytes(start + index)),
        storageBackend: objectKey.includes('s3') ? 's3' : 'local',
        storageClass: objectKey.includes('s3') ? 'STANDARD' : '',
        contentType: 'application/pdf',
        etag: 'e',
        lastModified: { seconds: BigInt(1_700_000_000 + start + index) },
        metadata: { owner: `owner ${index % 2}`, tags: ['a', String(index)] },
      },
    }));
    await storage.batchRecordObjects({ project, requests });
  }
}

const tongues = [
  'deutsch/Rechnung Größe.pdf',
  'русский/счёт-фактура.pdf',
  '中文/发票.pdf',
  '🎉/party 🎂.png',
];
const hostile = ['x\u001b[2J\n/y', 'x\u202ereversed', 'x\\back'];

const numbered = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(5, '0')}`);

describe('stowage ls', () => {
  it('folds folders and lists in byte order whatever the keys are', async () => {
    await record([...tongues, ...hostile, 'top', 'deutsch/b', 'deutsch/c']);
    expect(linesOf(await printed('ls'))).toEqual([
      'LAST MODIFIED         SIZE  BACKEND  KEY',
      '                         -           deutsch/',
      '2023-11-14T22:13:27Z  10 B  local    top',
      '                         -           x\\x1b[2J\\n/',
      '2023-11-14T22:13:26Z  10 B  local    x\\\\back',
      '2023-11-14T22:13:25Z  10 B  local    x\\u{202e}reversed',
      '                         -           русский/',
      '                         -           中文/',
      '                         -           🎉/',
    ]);
    expect(keysOf(await printed('ls', '中文', '--json'))).toEqual(['中文/']);
    expect(keysOf(await printed('ls', '-r', '--json', '🎉/'))).toEqual([tongues[3]]);
    const reversed = keysOf(await printed('ls', '--json', '--reverse', 'x'));
    expect(reversed).toEqual([hostile[1], hostile[2], hostile[0]]);
  });

  it('sorts, filters and limits', async () => {
    await record(['a/s3', 'b', 'c/s3', 'd'], (index) => [30, 10, 40, 20][index] ?? 0);
    const keys = async (...args: string[]) => keysOf(await printed('ls', '--json', ...args));
    expect(await keys('--sort', 'size')).toEqual(['c/s3', 'a/s3', 'd', 'b']);
    expect(await keys('--sort', 'size', '--reverse', '--limit', '2')).toEqual(['b', 'd']);
    expect(await keys('--sort', 'modified')).toEqual(['d', 'c/s3', 'b', 'a/s3']);
    expect(await keys('-r', '--backend', 's3')).toEqual(['a/s3', 'c/s3']);
    expect(await keys('-r', '--class', 'STANDARD')).toEqual(['a/s3', 'c/s3']);
    expect(await keys('--filter', '{"owner":"owner 1"}')).toEqual(['b', 'd']);
    expect(await keys('-r', '--filter', '{"tags":["2"]}')).toEqual(['c/s3']);
    const { exitCode, stdout, stderr } = await stowage(['ls', '--where', 'metadata.lost>1']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toMatch(/^stowage ls: INVALID_REQUEST: [^\n]*\n$/);
  });

  it('lists more than a page, and ends quietly when its reader has enough', async () => {
    // More than the buffers of a pipe hold.
    await record(numbered('n/', 4_200));
    const all = keysOf(await printed('ls', '-r', '--json'));
    expect(all).toEqual(numbered('n/', 4_200));
    const options = `--server ${server} --project ${project}`;
    const command = `node ${mainFile} ls -r ${options}`;
    const script = `${command} | head -n 2; exit $\{PIPESTATUS[0]}`;
    const ran = await new Promise<Ran>((resolve) => {
      const child = execFile('bash', ['-c', script], (_, stdout, stderr) => {
        resolve({ exitCode: child.exitCode ?? -1, stdout, stderr });
      });
    });
    expect(linesOf(ran.stdout)).toHaveLength(2);
    expect(ran.stderr).toBe('');
    expect(ran.exitCode).toBe(0);
  });
});

describe('stowage get', () => {
  it('shows an object under any key, as a record and as JSON', async () => {
    await record([...tongues, ...hostile]);
    const shown = await printed('get', tongues[1] ?? '');
    expect(linesOf(shown).slice(0, 3)).toEqual([
      'key            русский/счёт-фактура.pdf',
      'size           10 bytes',
      'content type   application/pdf',
    ]);
    const json = await printed('get', '--json', hostile[0] ?? '');
    expect(JSON.parse(json)).toMatchObject({ objectKey: hostile[0], size: '10', revision: '1' });
  });

  it('ends with 1 for what is not there, and shows a deleted object only where asked', async () => {
    await record(['a']);
    await printed('rm', 'a');
    const { exitCode, stdout, stderr } = await stowage(['get', 'a']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toMatch(/^stowage get: OBJECT_NOT_FOUND: [^\n]+\n$/);
    expect(await printed('get', '--deleted', 'a')).toMatch(/^deleted +20/m);
    expect((await stowage(['ls'])).stderr).toBe('Nothing is there.\n');
    expect(await printed('ls', '--deleted')).toMatch(/^LAST MODIFIED +SIZE +BACKEND +DELETED +KEY/);
  });
});

describe('stowage search', () => {
  it('finds by words, by a part and by likeness in every tongue', async () => {
    await record([...tongues, ...hostile, 'other.txt']);
    const found = async (...args: string[]) => keysOf(await printed('search', '--json', ...args));
    expect(await found('rechnung')).toEqual([tongues[0]]);
    expect(await found('--syntax', 'tsquery', 'rechnung & !draft')).toEqual([tongues[0]]);
    expect(await found('--syntax', 'substring', 'СЧЁТ')).toEqual([tongues[1]]);
    expect(await found('--syntax', 'substring', '发票')).toEqual([tongues[2]]);
    expect(await found('--syntax', 'substring', '🎂')).toEqual([tongues[3]]);
    expect(await found('--syntax', 'similar', 'rechnung grosse.pdf')).toContain(tongues[0]);
    const table = await printed('search', 'rechnung owner', '--prefix', 'deutsch/');
    expect(linesOf(table)).toEqual([
      ' SCORE  LAST MODIFIED         SIZE  KEY',
      expect.stringMatching(
        /^\d\.\d{4} {2}2023-11-14T22:13:20Z {2}10 B {2}deutsch\/Rechnung Größe\.pdf$/,
      ),
      expect.stringMatching(/^ {8}deutsch\/«Rechnung» .*«owner» 0/),
    ]);
  });

  it('points at the place of a tsquery that cannot be read', async () => {
    const { exitCode, stderr } = await stowage(['search', '--syntax', 'tsquery', '发票 & & b']);
    expect(exitCode).toBe(1);
    const [sentence, query, caret] = linesOf(stderr);
    expect(sentence).toMatch(/^stowage search: INVALID_REQUEST: /);
    expect(query).toBe('  发票 & & b');
    expect(caret).toMatch(/^ {7,10}\^$/);
  });
});

describe('stowage rm', () => {
  it('deletes, takes back and removes for good', async () => {
    const keys = [...tongues, ...hostile].map((key) => `f/${key}`);
    await record([...keys, 'f', 'f-old/a']);
    expect(await printed('rm', '-rn', 'f')).toBe('7 objects would be deleted\n');
    expect(await printed('rm', '-r', 'f')).toBe('7 objects deleted\n');
    expect(keysOf(await printed('ls', '-r', '--json'))).toEqual(['f', 'f-old/a']);
    expect(await printed('rm', '-r', '--undo', 'f')).toBe('7 objects taken back\n');
    expect(keysOf(await printed('ls', '-r', '--json', 'f/')).sort()).toEqual(keys.sort());
    expect(await printed('rm', ...hostile.map((key) => `f/${key}`))).toBe('3 objects deleted\n');
    expect(await printed('rm', '--undo', `f/${hostile[0]}`)).toBe('1 object taken back\n');
    expect(await printed('rm', '-r', '--purge', '--yes', 'f')).toBe('2 objects removed for good\n');
    const back = await stowage(['rm', '--undo', `f/${hostile[1]}`]);
    expect(back.exitCode).toBe(1);
    expect(back.stderr).toMatch(/^stowage rm: OBJECT_NOT_FOUND: there is no f\/x\\u\{202e\}rev/);
    const typed = { isTerminal: true, input: 'y\n' };
    const all = await stowage(['rm', '-rf', '--purge', 'f'], typed);
    expect(all).toMatchObject({ exitCode: 0, stdout: '5 objects removed for good\n' });
    expect(keysOf(await printed('ls', '-r', '--json', '--deleted'))).toEqual(['f', 'f-old/a']);
  });

  it('ends with 1 for what is not there, or with 0 by force', async () => {
    await record(['a']);
    const { exitCode, stdout, stderr } = await stowage(['rm', 'a', 'b']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '1 object deleted\n' });
    expect(stderr).toBe('stowage rm: OBJECT_NOT_FOUND: there is no b\n');
    expect(await stowage(['rm', '-f', 'b'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await stowage(['rm', '-r', 'b'])).toMatchObject({ exitCode: 1 });
  });
});

describe('stowage mv', () => {
  it('moves an object, and refuses a key that is there', async () => {
    await record(['a', 'b', ...tongues]);
    expect(await printed('mv', tongues[2] ?? '', '🎉/发票')).toBe('中文/发票.pdf is now 🎉/发票\n');
    const { exitCode, stderr } = await stowage(['mv', 'a', 'b']);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /^stowage mv: ALREADY_EXISTS: .*nothing of this call.* \(object_key: b\)/,
    );
    expect(await stowage(['mv', 'lost🎉', 'c'])).toEqual({
      exitCode: 1,
      stdout: '',
      stderr:
        'stowage mv: OBJECT_NOT_FOUND: There is no such object in the project. ' +
        `(object_key: lost🎉; project: ${project})\n`,
    });
    expect(keysOf(await printed('ls', '-r', '--json'))).toEqual(
      ['a', 'b', tongues[0], tongues[1], '🎉/party 🎂.png', '🎉/发票'].sort((one, other) =>
        Buffer.compare(Buffer.from(one ?? ''), Buffer.from(other ?? '')),
      ),
    );
  });

  it('moves a folder of several commits', async () => {
    await record([...numbered('from/', 1_200), 'from-old/a']);
    expect(await printed('mv', 'from/', 'to/here/')).toBe(
      '1,200 objects moved from from/ to to/here/\n',
    );
    const keys = keysOf(await printed('ls', '-r', '--json'));
    expect(keys).toEqual(['from-old/a', ...numbered('to/here/', 1_200)]);
    const nothing = await stowage(['mv', 'from/', 'to/there/']);
    expect(nothing.exitCode).toBe(1);
    expect(nothing.stderr).toMatch(/^stowage mv: OBJECT_NOT_FOUND: /);
  });

  it('stops between two commits at Ctrl-C, and says how to go on', async () => {
    let calls = 0;
    let interrupt = (): void => undefined;
    await using door = await openStorageDoor({
      movePrefix() {
        calls += 1;
        if (calls === 2) interrupt();
        return { moved: 1000n, resumeToken: 'on' };
      },
    });
    const args = [mainFile, 'mv', 'a/', 'b/', '--server', door.address];
    const child = spawn(process.execPath, args);
    interrupt = () => child.kill('SIGINT');
    const texts = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => {
      texts.stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      texts.stderr += chunk.toString();
    });
    const [exitCode] = await once(child, 'close');
    expect(exitCode).toBe(130);
    expect(texts.stdout).toBe(`${calls},000 objects moved from a/ to b/\n`);
    expect(linesOf(texts.stderr)).toEqual([
      'mv: stopping behind this commit; once more to leave at once',
      'The rest is still under a/: the same command goes on there.',
    ]);
  });
});

describe('stowage du and stats', () => {
  it('count what is recorded', async () => {
    await record([...tongues, 'deutsch/s3', 'top'], (index) => 1024 * (index + 1));
    expect(linesOf(await printed('du', '--sort', 'size'))).toEqual([
      '    SIZE  OBJECTS  FOLDER',
      ' 6.0 KiB        2  deutsch/',
      ' 4.0 KiB        1  🎉/',
      ' 3.0 KiB        1  中文/',
      ' 2.0 KiB        1  русский/',
      '21.0 KiB        6  total',
    ]);
    expect(linesOf(await printed('du', 'deutsch/', '--bytes', '--backend', 's3'))).toEqual([
      'BYTES  OBJECTS  FOLDER',
      '5,120        1  total',
    ]);
    const figures = JSON.parse(await printed('stats', '--json'));
    expect(figures.backends.map((each: Record<string, unknown>) => each['storageBackend'])).toEqual(
      ['local', 's3'],
    );
    expect(await printed('stats')).toMatch(/^BACKEND +OBJECTS +SIZE\nlocal .*\ns3 .*\ntotal /);
  });
});
