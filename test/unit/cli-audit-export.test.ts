// `stowage audit export` over streams that are cut, damaged and resumed, and the file it leaves.
import { execFile } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { StructSchema } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ExportEventsResponseSchema } from '../../src/client/index.js';
import { StowageError } from '../../src/errors.js';
import { EncodedMessage } from '../../src/services/handler.js';
import type { KeepingHandlers, KeepingLine } from '../support/keeping-door.js';
import { runKeeping } from '../support/keeping-door.js';
import { linesOf } from '../support/object-commands.js';

let folder: string;
let files = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stowage-export-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A folder of its own with nothing in it, and a file that is not there. */
async function place() {
  files += 1;
  const own = join(folder, String(files));
  await mkdir(own);
  return { own, file: join(own, 'events.ndjson') };
}

const all = Array.from({ length: 7 }, (_, index) => ({ id: '', action: `A${index}` }));

const bytesOf = (events: typeof all) =>
  toBinary(ExportEventsResponseSchema, create(ExportEventsResponseSchema, { events }));

/** How a stream misbehaves. */
interface Fault {
  /** Ends without a word behind so many messages. */
  readonly cutAfter?: number;
  /** Fails so behind so many messages. */
  readonly reason?: 'NO_NODE' | 'SNAPSHOT_EXPIRED' | 'PROJECT_NOT_FOUND';
  readonly badPart?: true;
  readonly badSummary?: true;
}

/** Streams all events by twos; each opening has its own fault. */
function exporting(...faults: readonly Fault[]) {
  const resumed: string[] = [];
  const handlers: KeepingHandlers = {
    async *exportEvents({ resumeToken }) {
      resumed.push(resumeToken);
      const { cutAfter = 99, reason, badPart, badSummary } = faults[resumed.length - 1] ?? {};
      yield {};
      let sent = 0;
      for (let at = Number(resumeToken); at < all.length; at += 2) {
        const events = all.slice(at, at + 2);
        if (sent === cutAfter) {
          if (reason !== undefined) throw new StowageError(reason);
          return;
        }
        sent += 1;
        const sum = crc32(bytesOf(events)) + (badPart ? 1 : 0);
        yield { events, resumeToken: String(at + 2), crc32: sum };
      }
      const bytes = BigInt(bytesOf(all).length);
      const sum = crc32(bytesOf(all)) + (badSummary ? 1 : 0);
      yield { summary: { items: BigInt(all.length), bytes, crc32: sum } };
    },
  };
  return { resumed, handlers };
}

const one = (name: string) => ({ fields: { [name]: { kind: oneValue } } });
const oneValue = { case: 'numberValue', value: 1 } as const;
const parse = (bytes: Uint8Array) => fromBinary(ExportEventsResponseSchema, bytes);

const actions = (text: string) => linesOf(text).map((line) => JSON.parse(line).action);
/** An error may come before what was sent ahead of it, so it has an opening of its own. */
const refused = { cutAfter: 0, reason: 'PROJECT_NOT_FOUND' } as const;

const wanted = all.map(({ action }) => action);
const exportTo = (...args: string[]): KeepingLine => ['audit', 'export', ...args];

describe('stowage audit export', () => {
  it('goes on by itself behind the last message that came', async () => {
    const { own, file } = await place();
    const { resumed, handlers } = exporting({ cutAfter: 2 }, { cutAfter: 0, reason: 'NO_NODE' });
    const { exitCode, stdout } = await runKeeping(handlers, exportTo(file));
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^7 events exported to .*events\.ndjson \(\d+ B\)\n$/);
    expect(resumed).toEqual(['', '4', '4']);
    expect(actions(await readFile(file, 'utf8'))).toEqual(wanted);
    expect(await readdir(own)).toEqual(['events.ndjson']);
  });

  it('keeps what goes on, and the same command goes on there', async () => {
    const { own, file } = await place();
    await writeFile(file, 'what was there before');
    const first = exporting({ cutAfter: 2 }, refused);
    const line = exportTo(file, '--since', '9d', '--action', 'A');
    expect(await runKeeping(first.handlers, line)).toMatchObject({ exitCode: 1, stdout: '' });
    expect((await readdir(own)).sort()).toEqual(
      ['events.ndjson', 'events.ndjson.part', 'events.ndjson.resume'].sort(),
    );
    expect(await readFile(file, 'utf8')).toBe('what was there before');
    // What was written behind the last save is written again.
    await writeFile(`${file}.part`, '{"half'.repeat(500), { flag: 'a' });
    const second = exporting();
    const { exitCode, stdout, stderr } = await runKeeping(second.handlers, line);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: 'audit: going on behind 4 events\n',
    });
    expect(stdout).toMatch(/^7 events exported/);
    expect(second.resumed).toEqual(['4']);
    expect(actions(await readFile(file, 'utf8'))).toEqual(wanted);
    expect(await readdir(own)).toEqual(['events.ndjson']);
  });

  it('does not go on with other events, but begins anew where it is told to', async () => {
    const { file } = await place();
    const first = exporting({ cutAfter: 1 }, refused);
    await runKeeping(first.handlers, exportTo(file));
    const other = await runKeeping(exporting().handlers, exportTo(file, '--action', 'A'));
    expect(other.exitCode).toBe(1);
    expect(other.stderr).toMatch(/is an unfinished export of other events: add --restart/);
    const anew = exporting();
    const line = exportTo(file, '--action', 'A', '--restart', '--json');
    const { exitCode, stdout } = await runKeeping(anew.handlers, line);
    expect({ exitCode, resumed: anew.resumed }).toEqual({ exitCode: 0, resumed: [''] });
    expect(JSON.parse(stdout)).toMatchObject({ file, events: 7 });
  });

  it('says when nothing can go on any more', async () => {
    const { file } = await place();
    const { handlers } = exporting({ cutAfter: 1 }, { cutAfter: 0, reason: 'SNAPSHOT_EXPIRED' });
    const { exitCode, stderr } = await runKeeping(handlers, exportTo(file));
    expect(exitCode).toBe(1);
    expect(stderr).toContain('events.ndjson.part cannot be finished: --restart begins anew.');
  });

  it.each([
    ['a part', { badPart: true }, 'came with another checksum than its own'],
    ['the summary', { badSummary: true }, 'the export is not what its summary says'],
  ] as const)('is not finished where %s is not what it says', async (_what, fault, sentence) => {
    const { own, file } = await place();
    const { handlers } = exporting(fault);
    const { exitCode, stderr } = await runKeeping(handlers, exportTo(file));
    expect(exitCode).toBe(1);
    expect(stderr).toContain(sentence);
    expect(await readdir(own)).not.toContain('events.ndjson');
  });

  it('checks the bytes that came, not those that it would send itself', async () => {
    // As a jsonb has its members: JavaScript has 10 before b, whatever order they came in.
    const field = (name: string) => toBinary(StructSchema, create(StructSchema, one(name)));
    const metadata = Buffer.concat([field('b'), field('10')]);
    const event = new BinaryWriter().tag(13, WireType.LengthDelimited).bytes(metadata).finish();
    const items = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(event).finish();
    const sum = crc32(items);
    const summary = { items: 1n, bytes: BigInt(items.length), crc32: sum };
    const rest = create(ExportEventsResponseSchema, { crc32: sum, summary });
    const message = Buffer.concat([items, toBinary(ExportEventsResponseSchema, rest)]);
    expect(
      crc32(toBinary(ExportEventsResponseSchema, parse(message)).subarray(0, items.length)),
    ).not.toBe(sum);
    const handlers: KeepingHandlers = {
      async *exportEvents() {
        yield new EncodedMessage(message);
      },
    };
    const { exitCode, stdout } = await runKeeping(handlers, exportTo('-'));
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ metadata: { 10: 1, b: 1 } });
  });

  it('writes to standard output, and nothing but events', async () => {
    const { handlers } = exporting({ cutAfter: 1 });
    const { exitCode, stdout } = await runKeeping(handlers, exportTo('-', '--json'));
    expect(exitCode).toBe(0);
    expect(actions(stdout)).toEqual(wanted);
  });

  it('writes into a pipe as it stands, and to where a link leads', async () => {
    const { own, file } = await place();
    const pipe = join(own, 'pipe');
    await promisify(execFile)('mkfifo', [pipe]);
    const [read] = await Promise.all([
      readFile(pipe, 'utf8'),
      runKeeping(exporting({ cutAfter: 2 }).handlers, exportTo(pipe)),
    ]);
    expect(actions(read)).toEqual(wanted);
    expect((await lstat(pipe)).isFIFO()).toBe(true);
    await writeFile(file, 'what was there before');
    const link = join(own, 'link');
    await symlink(file, link);
    expect(await runKeeping(exporting().handlers, exportTo(link))).toMatchObject({ exitCode: 0 });
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect(actions(await readFile(file, 'utf8'))).toEqual(wanted);
    expect((await readdir(own)).sort()).toEqual(['events.ndjson', 'link', 'pipe']);
  });

  it('begins anew where only the note of an unfinished export is left', async () => {
    const { own, file } = await place();
    await runKeeping(exporting({ cutAfter: 1 }, refused).handlers, exportTo(file));
    await rm(`${file}.part`);
    const anew = exporting();
    const { exitCode } = await runKeeping(anew.handlers, exportTo(file, '--action', 'A'));
    expect({ exitCode, resumed: anew.resumed }).toEqual({ exitCode: 0, resumed: [''] });
    expect(await readdir(own)).toEqual(['events.ndjson']);
  });

  it('refuses a folder before the first event', async () => {
    const { own } = await place();
    const { resumed, handlers } = exporting();
    const { exitCode, stderr } = await runKeeping(handlers, exportTo(own));
    expect({ exitCode, resumed }).toEqual({ exitCode: 1, resumed: [] });
    expect(stderr).toContain('is a folder: name a file');
  });

  it('says why a file cannot be written', async () => {
    const file = join(folder, 'absent', 'events');
    const { exitCode, stderr } = await runKeeping(exporting().handlers, exportTo(file));
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^stowage audit: ENOENT: /);
    await writeFile(join(folder, 'mine.resume'), 'my own notes');
    const mine = await runKeeping(exporting().handlers, exportTo(join(folder, 'mine')));
    expect(mine.exitCode).toBe(1);
    expect(mine.stderr).toContain("mine.resume is none of this command's");
    expect(await readFile(join(folder, 'mine.resume'), 'utf8')).toBe('my own notes');
  });
});
