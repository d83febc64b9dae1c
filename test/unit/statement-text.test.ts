// The form in which a statement is known again in pg_stat_statements; test/statements.test.ts has
// every statement of the service as PostgreSQL itself keeps it.
import { describe, expect, it } from 'vitest';
import { statementForm, withoutPasswords } from '../../src/store/admin/statement-text.js';

const isSame = (left: string, right: string) => statementForm(left) === statementForm(right);

describe('the form of a statement', () => {
  it.each([
    ['constants', `select 'a', 1, 2.5e-3, true, null from t`, 'select $1, $2, $3, $4, $5 from t'],
    ['quotes in texts', `select 'it''s', E'\\'', U&'x', b'01'`, 'select $1, $2, $3, $4'],
    ['bodies between dollars', 'select $x$ a $1 $$ b $x$, c', 'select $1, c'],
    ['spaces and comments', '  select a -- why\n  from /* here */ t;', 'select a from t'],
    ['signs', 'select -1, a - 1', 'select $1, a - $2'],
    ['lists', 'select a in (1, 2, 3)', 'select a in ($1 /*, ... */)'],
    ['fields of extract', 'select extract(epoch from a)', 'select extract($1 from a)'],
    ['further parameters', 'select $1::int limit 10', 'select $1::int limit $2'],
  ])('leaves out what differs in %s', (_what, sent, kept) => {
    expect(isSame(sent, kept)).toBe(true);
  });

  it.each([
    ['tables', 'select a from t', 'select a from u'],
    ['names in quotes', 'select "a b"', 'select "a c"'],
    ['operators', 'select a + 1', 'select a * 1'],
    ['columns like constants', 'select truest from t', 'select true from t'],
  ])('keeps %s apart', (_what, left, right) => {
    expect(isSame(left, right)).toBe(false);
  });

  it('takes a text that was cut, or is none, as it is', () => {
    expect(statementForm(`select 'never ended`)).toContain('select');
    expect(statementForm('')).toBe('');
    expect(statementForm(`${'('.repeat(20_000)}'`)).toHaveLength(2 * 20_001 - 1);
  });
});

describe('a password in a statement', () => {
  it.each([
    [`alter role a login password 'se''cret' valid until 'x'`],
    [`CREATE ROLE a PASSWORD E'se\\'cret' login`],
    ['alter role a password $x$secret$x$ login'],
    [`alter role a password 'secret that was cut`],
    [`create user mapping for a server s options (user 'u', password 'secret')`],
    [`create subscription s connection 'host=h password=secret user=u' publication p`],
  ])('is taken out: %s', (text) => {
    const told = withoutPasswords(text);
    expect(told).not.toMatch(/secret|cret'/);
    expect(told).toContain(`'...'`);
  });

  it.each([
    ['select password, a from t'],
    ['create table t (password text)'],
    [`set password_encryption = 'md5'`],
  ])('is none: %s', (text) => {
    expect(withoutPasswords(text)).toBe(text);
  });
});
