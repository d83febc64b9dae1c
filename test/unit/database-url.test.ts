import { describe, expect, it } from 'vitest';
import { parseDatabaseUrl } from '../../src/lib/database-url.js';
import { findPassword } from '../../src/lib/pass-file.js';

const plain = {
  nodes: [{ host: 'db1', port: 5432 }],
  user: 'ada',
  password: 'hunter2',
  database: 'd',
  sslMode: undefined,
  sslRootCert: undefined,
  connectTimeoutMs: undefined,
  pooler: undefined,
};

function refusalOf(url: string): string {
  try {
    parseDatabaseUrl(url);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('the URL was accepted');
}

describe('parseDatabaseUrl', () => {
  it.each([
    'postgres://ada:hunter2@db1/d',
    'postgresql://ada:hunter2@db1:5432/d',
    'POSTGRES://ada:hunter2@db1/d',
    'postgresql+asyncpg://ada:hunter2@db1/d',
    'postgresql+psycopg2://ada:hunter2@db1/d',
    'postgres+psycopg://ada:hunter2@db1/d',
    ' postgres://ada:hunter2@db1/d\n',
    '"postgres://ada:hunter2@db1/d"',
    "'postgres://ada:hunter2@db1/d'\r\n",
    'postgres://ada:hunter2@db1/d?schema=public&target_session_attrs=read-write',
    'postgres://ada:hunter2@db1/d?gssencmode=disable&target_session_attrs=any',
    'postgres://ada:hunter2@db1/d?channel_binding=prefer',
  ])('takes what people paste: %s', (url) => {
    expect(parseDatabaseUrl(url)).toEqual(plain);
  });

  it.each([
    ['sslmode=require', { sslMode: 'require' }],
    ['ssl=true', { sslMode: 'require' }],
    ['ssl=false', { sslMode: 'disable' }],
    ['ssl=require', { sslMode: 'require' }],
    ['ssl=true&sslmode=require', { sslMode: 'require' }],
    ['sslmode=verify-full&sslrootcert=system', { sslMode: 'verify-full' }],
    ['sslrootcert=system', { sslMode: 'verify-full' }],
    ['sslmode=verify-ca&sslrootcert=/c', { sslMode: 'verify-ca', sslRootCert: '/c' }],
    ['sslmode=verify-full&channel_binding=require', { sslMode: 'verify-full' }],
    ['sslmode=verify-ca&sslrootcert=/c%2B+', { sslMode: 'verify-ca', sslRootCert: '/c++' }],
    ['connect_timeout=10', { connectTimeoutMs: 10_000 }],
    ['pooler=transaction', { pooler: 'transaction' }],
  ])('takes ?%s', (query, expected) => {
    const parsed = parseDatabaseUrl(`postgres://ada:hunter2@db1/d?${query}`);
    expect(parsed).toEqual({ ...plain, ...expected });
  });

  it.each([
    ['jdbc:postgresql://db1/d?user=ada&password=hunter2', /JDBC.*leave jdbc: out/],
    ['psql postgres://ada:hunter2@db1/d', /command line of psql; give its URL alone/],
    ['DATABASE_URL=postgres://ada:hunter2@db1/d', /begin with postgres:/],
    ['export DATABASE_URL=postgres://ada:hunter2@db1/d', /begin with postgres:/],
    ['"postgres://ada:hunter2@db1/d', /quote at one end/],
    ['host=db1 password=hunter2 dbname=d', /key=value; write postgres:/],
    ['prisma+postgres://hunter2@db1/d', /proxy of Prisma/],
    ['mysql://ada:hunter2@db1/d', /must look like postgres:/],
    ['db1:5432', /must look like postgres:/],
    ['postgres://ada:hunter2@/d', /names no host.*127\.0\.0\.1/],
    ['postgres:///d?host=hunter2', /names no host/],
    ['postgres://ada:[YOUR-PASSWORD]@db1/d', /placeholder/],
    ['postgres://ada:****@db1/d', /placeholder/],
    ['postgres://ada:$' + '{PASSWORD}@db1/d', /placeholder/],
    ['postgres://ada:x@hunter2@db1/d', /second @; write %40/],
    ['postgres://ada:x/hunter2@db1/d', /write %40, %2F and %3F/],
    ['postgres://ada:hunter2@db1/d?sslmode=prefer', /sslmode=prefer.*sslmode=verify-full/],
    ['postgres://ada:hunter2@db1/d?sslmode=allow', /sslmode=allow.*sslmode=disable/],
    ['postgres://ada:hunter2@db1/d?sslmode=no-verify', /node-postgres; write sslmode=require/],
    ['postgres://ada:hunter2@db1/d?sslmode=hunter2', /another sslmode than disable/],
    ['postgres://ada:hunter2@db1/d?ssl=prefer', /sslmode=prefer/],
    ['postgres://ada:hunter2@db1/d?ssl=true&sslmode=disable', /they differ; leave ssl out/],
    [
      'postgres://ada:hunter2@db1/d?sslrootcert=system&sslmode=require',
      /needs sslmode=verify-full/,
    ],
    ['postgres://ada:hunter2@db1/d?sslmode=require&channel_binding=require', /verify-full&sslroot/],
    ['postgres://ada:hunter2@db1/d?connect_timeout=0', /not 1 to 60/],
    ['postgres://ada:hunter2@db1/d?connect_timeout=hunter2', /not 1 to 60/],
    ['postgres://ada:hunter2@db1/d?pool_size=5', /pool_size, which .* POSTGRES_MAX_CONN/],
    ['postgres://ada:hunter2@db1/d?connection_limit=5', /POSTGRES_MAX_CONN/],
    ['postgres://ada:hunter2@db1/d?application_name=hunter2', /application_name.*leave it out/],
    ['postgres://ada:hunter2@db1/d?schema=hunter2', /schema public; leave it out/],
    ['postgres://ada:hunter2@db1/d?currentSchema=x', /currentschema.*schema public/],
    ['postgres://ada:hunter2@db1/d?target_session_attrs=standby', /writes go to the primary/],
    ['postgres://ada:hunter2@db1/d?pgbouncer=true', /write pooler=transaction/],
    ['postgres://ada:hunter2@db1/d?pooler=session', /another pooler than none, transaction/],
    ['postgres://ada@db1/d?password=hunter2', /password, which belongs before/],
    ['postgres://ada:hunter2@db1/d?passfile=/p', /set PGPASSFILE/],
    ['postgres://ada:hunter2@db1/d?sslcert=/p', /login is by password/],
    ['postgres://ada:hunter2@db1/d?constructor=x', /parameter constructor that is not known/],
    ['postgres://ada@db1/d?hunter2', /a parameter that is not known/],
    ['postgres://ada:hunter2@db1/d?%zz=hunter2', /a parameter that is not known/],
  ])('explains %s', (url, sentence) => {
    const message = refusalOf(url);
    expect(message).toMatch(sentence);
    expect(message).not.toMatch(/hunter2|\[YOUR/);
  });
});

describe('findPassword', () => {
  const key = { host: 'db1', port: 5432, database: 'd', user: 'ada' };
  const find = (...lines: string[]) => findPassword(lines.join('\n'), key);

  it.each([
    ['db1:5432:d:ada:hunter2', 'hunter2'],
    ['*:*:*:*:hunter2', 'hunter2'],
    ['db1:*:*:ada:with\\:colon and \\\\', 'with:colon and \\'],
    ['db1:5432:d:ada:up to:a colon', 'up to'],
    ['db1:5432:d:ada:Grüße мир 你好 🚀', 'Grüße мир 你好 🚀'],
    ['#db1:5432:d:ada:hunter2', undefined],
    ['db1:5432:d:ada', undefined],
    ['db1:5432:d:ada:', undefined],
    ['db1:5433:d:ada:hunter2', undefined],
    ['DB1:5432:d:ada:hunter2', undefined],
    ['\\*:5432:d:ada:hunter2', undefined],
    ['', undefined],
  ])('reads %s', (line, expected) => {
    expect(find(line)).toBe(expected);
  });

  it('takes the first line that fits', () => {
    expect(find('# mine', '', 'db2:*:*:*:x', 'db1:*:*:*:first\r', '*:*:*:*:second')).toBe('first');
  });

  it('knows an IPv6 host by its escaped colons', () => {
    expect(findPassword('\\:\\:1:*:*:*:six', { ...key, host: '::1' })).toBe('six');
  });
});
