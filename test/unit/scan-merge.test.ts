import { describe, expect, it } from 'vitest';
import { type Finding, merge, type RecordedFile } from '../../src/cli/scan/merge.js';
import { compareKeys } from '../../src/cli/scan/names.js';
import type { WalkEntry } from '../../src/cli/scan/walk.js';
import { createRandom } from '../support/random.js';

const file = (key: string): WalkEntry => ({
  kind: 'file',
  key,
  path: Buffer.from(key),
  size: 1n,
  mtimeNs: 0n,
});

const unread = (key: string): WalkEntry => ({
  kind: 'skip',
  hides: key.endsWith('/') ? 'prefix' : 'key',
  key,
  skip: { path: Buffer.from(key), reason: 'unreadable' },
});

const link = (path: string): WalkEntry => ({
  kind: 'skip',
  hides: 'nothing',
  skip: { path: Buffer.from(path), reason: 'symbolic-link' },
});

const recorded = (key: string): RecordedFile => ({
  key,
  size: 1n,
  lastModifiedUs: 0n,
  revision: 1n,
});

async function* stream<Item>(items: readonly Item[]): AsyncGenerator<Item, void, void> {
  yield* items;
}

function describeFinding(finding: Finding): string {
  switch (finding.kind) {
    case 'file':
      return `${finding.recorded === undefined ? 'new' : 'both'} ${finding.file.key}`;
    case 'skip':
      return `skip ${finding.skip.path.toString()}`;
    default:
      return `${finding.kind} ${finding.recorded.key}`;
  }
}

async function merged(walked: readonly WalkEntry[], keys: readonly string[]): Promise<string[]> {
  const findings: string[] = [];
  for await (const finding of merge(stream(walked), stream(keys.map(recorded)))) {
    findings.push(describeFinding(finding));
  }
  return findings;
}

describe('merge', () => {
  it('pairs files with their records and tells which side lacks what', async () => {
    const findings = await merged(['a', 'b', 'd'].map(file), ['b', 'c', 'd', 'e']);
    expect(findings).toEqual(['new a', 'both b', 'missing c', 'both d', 'missing e']);
  });

  it('calls nothing missing below a directory that was not read', async () => {
    const walked = [file('a'), unread('d/'), file('d0')];
    const findings = await merged(walked, ['d', 'd/x', 'd/y/z', 'd0', 'da']);
    expect(findings).toEqual([
      'new a',
      'missing d',
      'skip d/',
      'hidden d/x',
      'hidden d/y/z',
      'both d0',
      'missing da',
    ]);
  });

  it('does not call a file missing that could not be looked at', async () => {
    const findings = await merged([unread('f'), file('g')], ['f', 'f/x', 'g']);
    expect(findings).toEqual(['skip f', 'hidden f', 'missing f/x', 'both g']);
  });

  it('calls the records below a link missing, for a link is not followed', async () => {
    expect(await merged([link('l')], ['l', 'l/x'])).toEqual(['skip l', 'missing l', 'missing l/x']);
  });

  it('agrees with sets on random sides', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = createRandom(seed);
    for (let round = 0; round < 200; round += 1) {
      const side = (): string[] =>
        [...new Set(Array.from({ length: random.below(20) }, () => random.word(2)))].sort(
          compareKeys,
        );
      const [walked, keys] = [side(), side()];
      const all = [...new Set([...walked, ...keys])].sort(compareKeys);
      const expected = all.map((key) => {
        if (!walked.includes(key)) return `missing ${key}`;
        return `${keys.includes(key) ? 'both' : 'new'} ${key}`;
      });
      expect(await merged(walked.map(file), keys), `seed ${seed}`).toEqual(expected);
    }
  });

  it('ends the recorded side when its consumer stops early', async () => {
    let isEnded = false;
    async function* endless(): AsyncGenerator<RecordedFile, void, void> {
      try {
        for (let number = 0; ; number += 1) yield recorded(`${number}`);
      } finally {
        isEnded = true;
      }
    }
    for await (const _ of merge(stream([file('z')]), endless())) break;
    expect(isEnded).toBe(true);
  });
});
