import { describe, expect, it } from 'vitest';
import { readMigrationNames } from '../../src/postgres/migration-files.js';
import { compareSchema } from '../../src/postgres/schema-version.js';

describe('compareSchema', () => {
  const program = ['0001_a-b', '0002_c-d'];

  it('finds equal lists current', () => {
    expect(compareSchema(program, program)).toEqual({ kind: 'current' });
  });

  it('names what an older schema lacks', () => {
    expect(compareSchema(program, [])).toEqual({ kind: 'behind', pending: program });
    expect(compareSchema(program, ['0001_a-b'])).toEqual({ kind: 'behind', pending: ['0002_c-d'] });
  });

  it('tells a newer schema that this program can live with from a breaking one', () => {
    expect(compareSchema(program, [...program, '0003_e-f'])).toEqual({
      kind: 'ahead',
      unknown: ['0003_e-f'],
      breaking: false,
    });
    expect(compareSchema(program, [...program, '0003_e-f.breaking', '0004_g-h'])).toEqual({
      kind: 'ahead',
      unknown: ['0003_e-f.breaking', '0004_g-h'],
      breaking: true,
    });
  });

  it('finds lists that part from each other diverged, whichever is longer', () => {
    const parted = { kind: 'diverged', unknown: ['0002_x-y'] };
    expect(compareSchema(program, ['0001_a-b', '0002_x-y'])).toEqual(parted);
    expect(compareSchema([...program, '0003_e-f'], ['0001_a-b', '0002_x-y'])).toEqual(parted);
  });
});

describe('the migrations', () => {
  it('are numbered without a gap', async () => {
    const numbers = (await readMigrationNames()).map((name) => Number(name.slice(0, 4)));
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  });
});
