// `stowage rm` and `stowage mv` over handlers of the test's own: what they ask for, what they
// refuse to ask for, and what they say of work that is done in part.

import { describe, expect, it } from 'vitest';
import { StowageError } from '../../src/errors.js';
import type { StorageHandlers } from '../support/doors.js';
import { linesOf, runOver } from '../support/object-commands.js';

const keys = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, index) => `p/${String(from + index).padStart(5, '0')}`);

/** Deletes all but keys that hold `missing`, and keeps the requests. */
function deleting() {
  const batches: string[][] = [];
  const requestIds = new Set<string>();
  const handlers: StorageHandlers = {
    batchDeleteObjects({ requestId, requests }) {
      requestIds.add(requestId);
      batches.push(requests.map(({ objectKey }) => objectKey));
      const results = requests.map(({ objectKey, allowMissing }) => ({
        deleted: allowMissing && !objectKey.includes('missing'),
      }));
      return { results };
    },
  };
  return { batches, requestIds, handlers };
}

describe('stowage rm', () => {
  it('deletes each named key once and says which are not there', async () => {
    const { batches, handlers } = deleting();
    const names = ['a', 'missing\u001b', 'b', 'a'];
    const ran = await runOver(handlers, ['rm', ...names]);
    expect(batches).toEqual([['a', 'missing\u001b', 'b']]);
    expect(ran).toEqual({
      exitCode: 1,
      stdout: '2 objects deleted\n',
      stderr: 'stowage rm: OBJECT_NOT_FOUND: there is no missing\\x1b\n',
    });
    const forced = await runOver(handlers, ['rm', '-f', ...names]);
    expect(forced).toEqual({ exitCode: 0, stdout: '2 objects deleted\n', stderr: '' });
    const json = await runOver(handlers, ['rm', '--json', ...names]);
    expect(json.exitCode).toBe(1);
    expect(JSON.parse(json.stdout)).toEqual({
      deleted: 2,
      dry_run: false,
      failures: [{ name: 'missing\u001b', reason: 'OBJECT_NOT_FOUND' }],
      interrupted: false,
    });
  });

  it('deletes a folder in batches of its own, each with a request id of its own', async () => {
    const { batches, requestIds, handlers } = deleting();
    const prefixes: string[] = [];
    const listed = {
      ...handlers,
      listObjects({ prefix, pageToken, showDeleted, delimiter }) {
        expect({ showDeleted, delimiter }).toEqual({ showDeleted: false, delimiter: '' });
        prefixes.push(prefix);
        const page = pageToken === '' ? keys(1000) : keys(200, 1000);
        const objects = page.map((objectKey) => ({ objectKey }));
        return { objects, nextPageToken: pageToken === '' ? 'next' : '' };
      },
    } satisfies StorageHandlers;
    const { exitCode, stdout } = await runOver(listed, ['rm', '-r', 'p']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '1,200 objects deleted\n' });
    expect(prefixes).toEqual(['p/', 'p/']);
    expect(batches.map(({ length }) => length)).toEqual([1000, 200]);
    expect(batches.flat()).toEqual(keys(1200));
    expect(requestIds.size).toBe(2);
  });

  it('repeats a commit under the same request id when the primary comes back', async () => {
    const { requestIds, handlers } = deleting();
    let attempts = 0;
    const failing: StorageHandlers = {
      batchDeleteObjects(request, context) {
        attempts += 1;
        requestIds.add(request.requestId);
        if (attempts < 3) throw new StowageError('NO_PRIMARY', { retryDelayMs: 1 });
        return handlers.batchDeleteObjects?.(request, context) ?? {};
      },
    };
    const { exitCode, stderr } = await runOver(failing, ['rm', 'a']);
    expect({ exitCode, attempts, ids: requestIds.size }).toEqual({
      exitCode: 0,
      attempts: 3,
      ids: 1,
    });
    expect(stderr).toMatch(/^rm: NO_PRIMARY: [^\n]+; trying again\n/);
  });

  it('says what is done already where the rest fails', async () => {
    const { batches, handlers } = deleting();
    const failing: StorageHandlers = {
      batchDeleteObjects(request, context) {
        if (batches.length === 1) throw new StowageError('PROJECT_NOT_FOUND');
        return handlers.batchDeleteObjects?.(request, context) ?? {};
      },
    };
    const { exitCode, stdout, stderr } = await runOver(failing, ['rm', ...keys(1_001)]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(linesOf(stderr)).toEqual([
      expect.stringMatching(/^stowage rm: PROJECT_NOT_FOUND: /),
      '1,000 objects deleted before that.',
      'The same command goes on with the rest.',
    ]);
  });

  it('is interrupted also while it waits for its server', async () => {
    const waiting: StorageHandlers = {
      batchDeleteObjects() {
        process.emit('SIGINT');
        throw new StowageError('NO_PRIMARY', { retryDelayMs: 60_000 });
      },
    };
    const { exitCode, stderr } = await runOver(waiting, ['rm', 'a']);
    expect(exitCode).toBe(130);
    expect(stderr).toContain('stowage rm: NO_PRIMARY: ');
  });

  it('is done where Ctrl-C comes with the last commit, and stops where more is left', async () => {
    const { handlers } = deleting();
    const stopping: StorageHandlers = {
      batchDeleteObjects(request, context) {
        process.emit('SIGINT');
        return handlers.batchDeleteObjects?.(request, context) ?? {};
      },
      listObjects({ pageToken }) {
        if (pageToken === 'again') process.emit('SIGINT');
        return { objects: [{ objectKey: 'live' }], nextPageToken: pageToken ? 'on' : 'again' };
      },
    };
    const whole = await runOver(stopping, ['rm', 'a']);
    expect(whole).toMatchObject({ exitCode: 0, stdout: '1 object deleted\n' });
    const part = await runOver(stopping, ['rm', ...keys(1_001)]);
    expect(part).toMatchObject({ exitCode: 130, stdout: '1,000 objects deleted\n' });
    // What lives is passed over, page after page, without an end.
    const passing = await runOver(stopping, ['rm', '-r', '--undo', 'f']);
    expect(passing).toMatchObject({ exitCode: 130, stdout: '0 objects taken back\n' });
  });

  it('takes deletions back, and says of what it cannot', async () => {
    const handlers: StorageHandlers = {
      undeleteObject({ objectKey }) {
        if (objectKey === 'live') throw new StowageError('ALREADY_EXISTS');
        if (objectKey === 'gone') throw new StowageError('OBJECT_NOT_FOUND');
        return {};
      },
      listObjects: () => ({
        objects: [
          { objectKey: 'f/a', deletedAt: { seconds: 1n } },
          { objectKey: 'f/live' },
          { objectKey: 'f/c', deletedAt: { seconds: 1n } },
        ],
      }),
    };
    const named = await runOver(handlers, ['rm', '--undo', 'a', 'live', 'gone', 'b']);
    expect(named).toEqual({
      exitCode: 1,
      stdout: '2 objects taken back\n',
      stderr:
        'stowage rm: ALREADY_EXISTS: live is not deleted\n' +
        'stowage rm: OBJECT_NOT_FOUND: there is no gone that is deleted\n',
    });
    const folder = await runOver(handlers, ['rm', '-r', '--undo', 'f']);
    expect(folder).toEqual({ exitCode: 0, stdout: '2 objects taken back\n', stderr: '' });
  });

  it('tells with --dry-run and changes nothing', async () => {
    const handlers: StorageHandlers = {
      batchGetObjects: ({ objectKeys }) =>
        objectKeys.length === 3
          ? { objects: [{}], missingObjectKeys: ['b'], remainingObjectKeys: ['c'] }
          : { objects: [{}] },
      getUsage: ({ prefix }) => ({ objects: prefix === 'p/' ? 1_200n : 0n }),
      purgeObjects: ({ dryRun, force }) => ({ objects: dryRun ? (force ? 9n : 4n) : 0n }),
    };
    const said = async (...args: string[]): Promise<string> => {
      const { exitCode, stdout, stderr } = await runOver(handlers, ['rm', '-n', ...args]);
      return `${exitCode} ${stdout}${stderr}`;
    };
    expect(await said('a', 'b', 'c')).toBe(
      '1 2 objects would be deleted\nstowage rm: OBJECT_NOT_FOUND: there is no b\n',
    );
    expect(await said('-r', 'p')).toBe('0 1,200 objects would be deleted\n');
    expect(await said('-r', 'q')).toBe(
      '1 0 objects would be deleted\nstowage rm: OBJECT_NOT_FOUND: nothing is under q/\n',
    );
    expect(await said('-r', '--purge', 'p')).toBe('0 4 objects would be removed for good\n');
    expect(await said('-rf', '--purge', 'p')).toBe('0 9 objects would be removed for good\n');
  });

  it.each([
    [[], 'missing required argument'],
    [[''], 'must not be empty'],
    [['--purge', 'a'], 'add --recursive'],
    [['--purge', '-r', 'a'], 'add --yes'],
    [['--purge', '--undo', '-r', 'a'], 'cannot be used with'],
    [['--dry-run', '--undo', 'a'], 'cannot be used with'],
  ])('is a wrong command line with the arguments %j', async (args, sentence) => {
    const { exitCode, stderr, stdout } = await runOver({}, ['rm', ...args]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(sentence);
  });
});

describe('stowage rm --purge', () => {
  function purging() {
    const removed: boolean[] = [];
    const handlers: StorageHandlers = {
      purgeObjects({ dryRun, force }) {
        if (dryRun) return { objects: 1_500n };
        removed.push(force);
        return { objects: removed.length === 1 ? 1_000n : 500n, more: removed.length === 1 };
      },
    };
    return { removed, handlers };
  }

  it.each(['y\n', 'YES\n'])('asks, and goes on until all is removed after %j', async (input) => {
    const { removed, handlers } = purging();
    const ran = await runOver(handlers, ['rm', '-rf', '--purge', 'p'], { isTerminal: true, input });
    expect(ran).toMatchObject({ exitCode: 0, stdout: '1,500 objects removed for good\n' });
    expect(ran.stderr).toContain(
      'Remove 1,500 objects under p/ in project default and all versions for good? [y/N] ',
    );
    expect(removed).toEqual([true, true]);
  });

  it.each(['n\n', '\n', ''])('removes nothing after %j', async (input) => {
    const { removed, handlers } = purging();
    const ran = await runOver(handlers, ['rm', '-r', '--purge', 'p'], { isTerminal: true, input });
    expect(ran).toMatchObject({ exitCode: 1, stdout: '' });
    expect(ran.stderr).toContain(
      'Remove 1,500 deleted objects under p/ in project default and all versions for good?',
    );
    expect(ran.stderr).toContain('Nothing is removed.\n');
    expect(removed).toEqual([]);
  });

  it('removes nothing that was not there to be asked about', async () => {
    const dry: boolean[] = [];
    const handlers: StorageHandlers = {
      purgeObjects({ dryRun }) {
        dry.push(dryRun);
        return { objects: 0n };
      },
    };
    const ran = await runOver(handlers, ['rm', '-r', '--purge', 'p'], { isTerminal: true });
    expect(ran).toMatchObject({ exitCode: 1, stdout: '0 objects removed for good\n' });
    expect(dry).toEqual([true]);
  });

  it('does not ask once it is interrupted', async () => {
    const handlers: StorageHandlers = {
      purgeObjects() {
        process.emit('SIGINT');
        return { objects: 5n };
      },
    };
    const names = ['p', 'q'];
    const ran = await runOver(handlers, ['rm', '-r', '--purge', ...names], { isTerminal: true });
    expect(ran).toMatchObject({ exitCode: 130, stdout: '0 objects removed for good\n' });
    expect(ran.stderr).not.toContain('Remove');
  });

  it('does not ask with --yes', async () => {
    const { removed, handlers } = purging();
    const ran = await runOver(handlers, ['rm', '-ry', '--purge', 'p']);
    expect(ran).toEqual({ exitCode: 0, stdout: '1,500 objects removed for good\n', stderr: '' });
    expect(removed).toEqual([false, false]);
  });
});

describe('stowage mv', () => {
  it('moves an object, or a folder call after call with the tokens they gave', async () => {
    const asked: unknown[] = [];
    const handlers: StorageHandlers = {
      moveObject(request) {
        asked.push(request);
        return { object: { objectKey: request.destinationKey, size: 1n } };
      },
      movePrefix(request) {
        asked.push(request);
        return request.resumeToken === ''
          ? { moved: 1000n, resumeToken: 'on' }
          : { moved: 234n, resumeToken: '' };
      },
    };
    const one = await runOver(handlers, ['mv', 'a\u001b', 'b']);
    expect(one).toEqual({ exitCode: 0, stdout: 'a\\x1b is now b\n', stderr: '' });
    const json = await runOver(handlers, ['mv', 'a', 'b', '--json']);
    expect(JSON.parse(json.stdout)).toEqual({ objectKey: 'b', size: '1' });
    const all = await runOver(handlers, ['mv', 'a/', 'b/']);
    expect(all).toEqual({
      exitCode: 0,
      stdout: '1,234 objects moved from a/ to b/\n',
      stderr: '',
    });
    expect(asked.slice(2)).toMatchObject([
      { sourcePrefix: 'a/', destinationPrefix: 'b/', resumeToken: '' },
      { sourcePrefix: 'a/', destinationPrefix: 'b/', resumeToken: 'on' },
    ]);
    expect(new Set(asked.map((request) => (request as { requestId: string }).requestId)).size).toBe(
      4,
    );
  });

  it('says how to go on where a folder is moved in part', async () => {
    const handlers: StorageHandlers = {
      movePrefix({ resumeToken }) {
        if (resumeToken !== '') {
          throw new StowageError('ALREADY_EXISTS', { metadata: { object_key: 'b/发票\u001b' } });
        }
        return { moved: 1000n, resumeToken: 'on' };
      },
    };
    const { exitCode, stdout, stderr } = await runOver(handlers, ['mv', 'a/', 'b/']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(linesOf(stderr)).toEqual([
      expect.stringMatching(/^stowage mv: ALREADY_EXISTS: .* \(object_key: b\/发票\\x1b\)$/),
      '1,000 objects were moved before that.',
      'The rest is still under a/: the same command goes on there.',
    ]);
    const json = await runOver(handlers, ['mv', 'a/', 'b/', '--json']);
    expect({ ...json, stderr: linesOf(json.stderr).length }).toEqual({
      exitCode: 1,
      stdout: '{"moved":1000,"interrupted":false}\n',
      stderr: 3,
    });
  });

  it.each([
    ['a/', 'b'],
    ['a', 'b/'],
    ['a', ''],
  ])('refuses to guess what %j and %j mean', async (source, destination) => {
    const { exitCode, stderr } = await runOver({}, ['mv', source, destination]);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/both end with \/|must not be empty/);
  });
});
