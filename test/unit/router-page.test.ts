import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const page = await readFile(join(root, 'docs/router.md'), 'utf8');
const invariants = page.slice(page.indexOf('## Invariants')).split('\n- ').slice(1);

describe('docs/router.md', () => {
  it('numbers its invariants without gaps', () => {
    const numbers = invariants.map((text) => /^\*\*R(\d+)\*\*/.exec(text)?.[1]);
    expect(numbers).toEqual(invariants.map((_, index) => `${index + 1}`));
  });

  it.each(invariants)('names a test that is there: %s', async (text) => {
    const [, file = '', name = ''] = /`(test\/[\w/.-]+)`:\s+"([^"]+)"/.exec(text) ?? [];
    const source = await readFile(join(root, file), 'utf8');
    expect(source).toContain(`'${name.replaceAll(/\s+/g, ' ')}'`);
  });
});
