import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createBuildProgress } from '../../src/cli/metadata-index-progress.js';

/** What is shown of a build on a stream, a terminal or not. */
function shownOn(isTTY: boolean): string {
  const stream = new PassThrough();
  // What cli-progress asks of a terminal.
  const terminal = { isTTY, columns: 80, cursorTo: () => true, clearLine: () => true };
  const progress = createBuildProgress(
    Object.assign(stream, terminal) as unknown as NodeJS.WriteStream,
  );
  progress.note('something was dropped');
  progress.update({ phase: 'building index: scanning table', done: 0.25 });
  progress.update({ phase: 'building index: scanning table', done: 0.5 });
  progress.stop(true);
  progress.stop(false);
  return String(stream.read());
}

describe('the progress of an index', () => {
  it('is a bar on a terminal, full at the end', () => {
    const shown = shownOn(true);
    expect(shown).toContain('something was dropped');
    expect(shown).toContain('25 % building index: scanning table');
    expect(shown).toContain('100 % done');
  });

  it('is a line every few seconds elsewhere', () => {
    expect(shownOn(false)).toBe(
      'index: something was dropped\nindex: 25 %, building index: scanning table\n',
    );
  });
});
