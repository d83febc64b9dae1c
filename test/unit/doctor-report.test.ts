import { describe, expect, it } from 'vitest';
import { countVerdicts, renderReport } from '../../src/cli/doctor-report.js';
import { type Finding, fail, ok, skipped, warn } from '../../src/postgres/diagnosis/finding.js';

const render = (findings: Finding[], output: Parameters<typeof renderReport>[2] = {}): string =>
  renderReport([{ title: 'db1', findings }], countVerdicts(findings), output);

describe('renderReport', () => {
  it('shows a line a check, the remedy below it, and what was skipped in one', () => {
    const findings = [
      ok('address', 'fine'),
      warn('tls', 'plain', 'Ask for it:', 'first', 'second'),
      fail('login', 'refused', 'Mend it.'),
      skipped('role', 'the check login failed'),
      skipped('schema', 'the check login failed'),
      skipped('disk', 'not seen', 'Look there:', 'df -h'),
      skipped('slots', 'no rights'),
    ];
    expect(render(findings)).toBe(
      [
        'db1',
        '  ok    address      fine',
        '  warn  tls          plain',
        '        Ask for it:',
        '            first',
        '            second',
        '  FAIL  login        refused',
        '        Mend it.',
        '  skip  disk         not seen',
        '        Look there:',
        '            df -h',
        '  skip  2 checks     the check login failed: role, schema',
        '  skip  slots        no rights',
        '',
        '1 failure, 1 warning: mend the first failure, then run `stowage doctor` again',
        '',
      ].join('\n'),
    );
  });

  it('says in its last line how it stands', () => {
    expect(render([ok('a', 'b')])).toMatch(/\nall is well\n$/);
    expect(render([ok('a', 'b'), skipped('c', 'd')])).toMatch(/well, as far as could be seen\n$/);
    expect(render([warn('a', 'b', 'c')])).toMatch(/\nno failure, 1 warning\n$/);
  });

  it('breaks sentences, and no line that is to be copied', () => {
    const text = render(
      [fail('login', 'word '.repeat(20).trim(), 'say '.repeat(30).trim(), 'x'.repeat(90))],
      {
        columns: 60,
      },
    );
    const lines = text.split('\n').filter((line) => !line.includes('xx'));
    expect(Math.max(...lines.slice(0, -2).map(({ length }) => length))).toBeLessThanOrEqual(60);
    expect(text).toContain(`            ${'x'.repeat(90)}\n`);
    expect(text).toMatch(/^ {21}word/m);
  });

  it('lets nothing act on the terminal, and keeps a backslash that is to be copied', () => {
    const text = render([fail('login', 'a\x1b[2Jb\nc\u202e', 'd\x07', '\\:\\:1:*')]);
    expect(text).toContain('a\\x1b[2Jb\\nc\\u{202e}\n        d\\x07\n            \\:\\:1:*\n');
  });

  it('has colours where the terminal has them', () => {
    expect(render([fail('a', 'b', 'c')], { hasColors: () => true })).toContain(
      '\x1b[1;31mFAIL\x1b[0m',
    );
    expect(render([fail('a', 'b', 'c')], { hasColors: () => false })).not.toContain('\x1b');
  });
});
