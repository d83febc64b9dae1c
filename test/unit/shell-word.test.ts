import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { shellWord } from '../../src/lib/shell-word.js';

describe('a word for a shell', () => {
  it.each([
    'plain',
    '',
    'a b',
    "it's",
    '$HOME `id` "x" \\ ! * # ; & |',
    'größe.Счёт.发票.🎉',
    'a\nb',
  ])('is %j again once a shell has read it', (text) => {
    expect(execFileSync('sh', ['-c', `printf %s ${shellWord(text)}`]).toString()).toBe(text);
  });

  it('has no quotes where it needs none', () => {
    expect(shellWord('metadata.camera-2.model')).toBe('metadata.camera-2.model');
  });
});
