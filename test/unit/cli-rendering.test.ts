// How commands print: columns, widths, JSON on which no terminal acts, comparisons, carets.
import { describe, expect, it } from 'vitest';
import { ComparisonOperator } from '../../gen/stowage/v1/storage_list_pb.js';
import { displayWidth } from '../../src/cli/display-width.js';
import { addComparison } from '../../src/cli/objects/comparison.js';
import { createCounter } from '../../src/cli/objects/counter.js';
import { jsonText, widthOf } from '../../src/cli/output.js';
import { pointAt } from '../../src/cli/search.js';
import { type Column, renderRecord, renderTable, Table } from '../../src/cli/table.js';

type Row = readonly [name: string, size: string];

const columns: readonly Column<Row>[] = [
  { title: 'SIZE', cell: ([, size]) => size, align: 'right' },
  { title: 'NAME', cell: ([name]) => name },
  { title: 'END', cell: () => '|' },
];

describe('displayWidth', () => {
  it.each([
    ['', 0],
    ['plain.txt', 9],
    ['Übergröße', 9],
    ['cafe\u0301', 4],
    ['счёт-фактура', 12],
    ['发票', 4],
    ['ﾊﾝｶｸ', 4],
    ['한국어', 6],
    ['ひらがな', 8],
    ['（全角）', 8],
    ['🎉.png', 6],
    ['🇩🇪', 2],
    ['❤\ufe0f', 2],
    ['❤', 1],
    ['1 #*', 4],
    ['\u{20000}', 2],
  ])('of %j is %i columns', (text, width) => {
    expect(displayWidth(text)).toBe(width);
  });
});

describe('a table', () => {
  it('aligns what stands behind wide characters and numbers to the right', () => {
    const rows: Row[] = [
      ['发票.pdf', '7'],
      ['🎉', '1,234'],
      ['plain', ''],
    ];
    expect(renderTable(columns, rows).split('\n')).toEqual([
      ' SIZE  NAME      END',
      '    7  发票.pdf  |',
      '1,234  🎉        |',
      '       plain     |',
      '',
    ]);
  });

  it('keeps the widths of its first rows and lets wider ones stand out', () => {
    const table = new Table(columns);
    expect(table.lines([['ab', '1']])).toBe('SIZE  NAME  END\n   1  ab    |\n');
    expect(table.lines([['abcdefgh', '1']])).toBe('   1  abcdefgh  |\n');
  });

  it('escapes every cell and every field', () => {
    const hostile = 'a\u001b[2J\nb\u202ec\\';
    const escaped = 'a\\x1b[2J\\nb\\u{202e}c\\\\';
    expect(renderTable(columns, [[hostile, '']])).toContain(escaped);
    expect(renderRecord([['key', hostile]])).toBe(`key  ${escaped}\n`);
  });

  it('puts lines below a row and many lines of a field below each other', () => {
    const lines = new Table(columns).lines([['a', '1']], ([name]) => [`> ${name}`]);
    expect(lines).toBe('SIZE  NAME  END\n   1  a     |\n> a\n');
    const record = renderRecord([
      ['a', 'x'],
      ['left out', ''],
      ['json', ['{', '}']],
    ]);
    expect(record).toBe('a     x\njson  {\n      }\n');
  });
});

describe('the width of an output', () => {
  it("is the terminal's, 80 where it tells none, and without an end elsewhere", () => {
    expect(widthOf({ isTTY: true, columns: 132 })).toBe(132);
    expect(widthOf({ isTTY: true, columns: 0 })).toBe(80);
    expect(widthOf({ isTTY: true })).toBe(80);
    expect(widthOf({ columns: 80 })).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('jsonText', () => {
  it('means the same and has nothing that a terminal acts on', () => {
    const value = { 'k\u009b\n': 'a\u202e\u2028\u{e0001}\u{10ffff}🎉发票\u001b\ud800' };
    for (const text of [jsonText(value), jsonText(value, 2)]) {
      expect(JSON.parse(text)).toEqual(value);
      expect(text).toContain('🎉发票');
      expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Co}]/u);
    }
    expect(jsonText(value)).not.toContain('\n');
  });
});

describe('a comparison', () => {
  it.each([
    ['metadata.owner=ACME', 'owner', ComparisonOperator.EQUAL, 'ACME'],
    ['metadata.camera.model >= "5"', 'camera.model', ComparisonOperator.GREATER_OR_EQUAL, '5'],
    ['metadata.year<=2024', 'year', ComparisonOperator.LESS_OR_EQUAL, 2024],
    ['metadata.a<-1.5e3', 'a', ComparisonOperator.LESS, -1500],
    ['metadata.a>b=c', 'a', ComparisonOperator.GREATER, 'b=c'],
    ['metadata.владелец=""', 'владелец', ComparisonOperator.EQUAL, ''],
    ['metadata.a=true', 'a', ComparisonOperator.EQUAL, 'true'],
  ])('%s', (text, path, operator, value) => {
    const operand = { case: typeof value === 'number' ? 'number' : 'text', value };
    expect(addComparison(text, [])).toEqual([{ path, operator, operand }]);
  });

  it.each(['', 'owner=a', 'metadata.', 'metadata.=a', 'metadata.owner', 'metadata.owner~a'])(
    'is not %j',
    (text) => {
      expect(() => addComparison(text, [])).toThrow('metadata.owner>=a');
    },
  );
});

describe('a caret', () => {
  it('stands below the character that is at fault, whatever is before it', () => {
    expect(pointAt('a & & b', 5)).toEqual(['  a & & b', '      ^']);
    expect(pointAt('发票 & & x', 6)).toEqual(['  发票 & & x', '         ^']);
    expect(pointAt('\u001b🎉 &', 4)).toEqual(['  \\x1b🎉 &', '         ^']);
    expect(pointAt('a &', 4)).toEqual(['  a &', '     ^']);
  });
});

describe('a counter', () => {
  const written = (isTTY: boolean): string => {
    const texts: string[] = [];
    const output = { isTTY, write: (text: string) => texts.push(text) > 0 };
    const counter = createCounter(output as never, 'rm', 'deleted');
    counter.show(1000);
    counter.note('trying again');
    counter.show(2000);
    counter.stop();
    return texts.join('');
  };

  it('is one changing line on a terminal, which is gone at the end', () => {
    expect(written(true)).toBe(
      '\r\u001b[K1,000 deleted\r\u001b[Ktrying again\n\r\u001b[K2,000 deleted\r\u001b[K',
    );
  });

  it('says little elsewhere', () => {
    expect(written(false)).toBe('rm: trying again\n');
  });
});
