// The pages that are rendered from tables: what is kept, what is rendered, what is escaped.
import { describe, expect, it } from 'vitest';
import {
  compose,
  enumComments,
  marker,
  renderConfig,
  renderErrors,
  renderStatements,
} from '../../scripts/lib/docs-pages.js';

describe('compose', () => {
  it('keeps what stands above the marker and replaces what stands below', () => {
    const page = `# Title\n\nBy hand.\n\n${marker}\n\nold\n`;
    const composed = compose(page, 'fresh\n\n');
    expect(composed).toBe(`# Title\n\nBy hand.\n\n${marker}\n\nfresh\n`);
    expect(compose(composed, 'fresh')).toBe(composed);
  });

  it('refuses a page without a marker', () => {
    expect(() => compose('# Title\n', 'fresh')).toThrow(marker);
  });
});

describe('enumComments', () => {
  it('gives each value its own comment and nothing of its neighbours', () => {
    const proto = [
      '// Of the enum.',
      'enum Color {',
      '  // Never sent.',
      '  COLOR_UNSPECIFIED = 0;',
      '  // Like blood.',
      '  // Or rust.',
      '  COLOR_RED = 1;',
      '  COLOR_BARE = 2;',
      '}',
    ].join('\n');
    expect([...enumComments(proto, 'COLOR_')]).toEqual([
      ['UNSPECIFIED', ['Never sent.']],
      ['RED', ['Like blood.', 'Or rust.']],
      ['BARE', []],
    ]);
  });
});

describe('the rendered tables', () => {
  it('link each reason to its section and fence its example', () => {
    const text = renderErrors([
      {
        reason: 'NO_NODE',
        code: 'UNAVAILABLE',
        retry: 'after_delay',
        sentence: 'None | at all.',
        comment: ['Cause.', 'Example: {"reason": "NO_NODE"}'],
      },
    ]);
    expect(text).toContain(
      '| [`NO_NODE`](#no_node) | UNAVAILABLE | `after_delay` | None \\| at all. |',
    );
    expect(text).toContain('### NO_NODE\n\nCause.\n\n```json\n{"reason": "NO_NODE"}\n```');
  });

  it('tell a default from an empty one and from none', () => {
    const entry = { unit: 'ms', help: 'Help.', isSecret: false };
    const text = renderConfig([
      { ...entry, key: 'A', default: '5' },
      { ...entry, key: 'B', default: '' },
      { ...entry, key: 'C', default: undefined },
      { ...entry, key: 'D', default: undefined, isSecret: true },
    ]);
    expect(text).toContain('| `A` | `5` | ms | Help. |');
    expect(text).toContain('| `B` | empty |');
    expect(text).toContain('| `C` | none |');
    expect(text).toContain('| `D` | none; a secret |');
  });

  it('show SQL without the indentation of its source', () => {
    const text = renderStatements([
      { name: 'b', intent: 'read', text: '\n    select\n      1', file: 'src/b.sql.ts' },
      { name: 'a', intent: 'write', text: 'delete', file: 'src/a.sql.ts' },
    ]);
    expect(text).toContain('### b\n\n```sql\nselect\n  1\n```');
    expect(text.indexOf('### a')).toBeLessThan(text.indexOf('### b'));
  });
});
