import { describe, expect, it } from 'vitest';
import { readMigrationNames } from '../../src/postgres/migration-files.js';
import { checkSchema, type SchemaState } from '../../src/postgres/schema-version.js';
import { systemCall } from '../../src/postgres/system-call.js';
import { useRouter } from '../support/use-router.js';

const program = await readMigrationNames();

const fixture = useRouter();

const check = (): Promise<SchemaState> =>
  checkSchema(fixture.router, systemCall({ method: 'stowage.test/Check', timeoutMs: 10_000 }));

async function apply(name: string): Promise<void> {
  await fixture.admin.query('insert into stowage_migrations (name, run_on) values ($1, now())', [
    name,
  ]);
}

async function forget(name: string | undefined): Promise<void> {
  await fixture.admin.query('delete from stowage_migrations where name = $1', [name]);
}

describe('checkSchema', () => {
  it('takes the schema of its own program', async () => {
    expect(await check()).toEqual({ kind: 'current' });
  });

  it('takes a newer schema unless a migration breaks with older programs', async () => {
    await apply('9998_add-thing');
    expect(await check()).toMatchObject({ kind: 'ahead', unknown: ['9998_add-thing'] });
    await apply('9999_drop-thing.breaking');
    await expect(check()).rejects.toMatchObject({
      reason: 'SCHEMA_MISMATCH',
      metadata: { unknown: '9998_add-thing,9999_drop-thing.breaking' },
    });
    await forget('9998_add-thing');
    await forget('9999_drop-thing.breaking');
  });

  it('refuses an older schema and says what to run', async () => {
    const last = program.at(-1) ?? '';
    await forget(last);
    await expect(check()).rejects.toMatchObject({
      reason: 'SCHEMA_MISMATCH',
      message: `The schema lacks ${last}; run \`stowage migrate up\`.`,
    });
    await apply(last);
  });

  it('refuses a database whose list the service may not read', async () => {
    await fixture.admin.query('revoke select on stowage_migrations from stowage_service');
    await expect(check()).rejects.toMatchObject({
      reason: 'SCHEMA_MISMATCH',
      message: expect.stringContaining('member of stowage_service'),
    });
    await fixture.admin.query('grant select on stowage_migrations to stowage_service');
  });

  it('refuses an empty database', async () => {
    await fixture.admin.query('alter table stowage_migrations rename to other');
    await expect(check()).rejects.toMatchObject({
      reason: 'SCHEMA_MISMATCH',
      metadata: { pending: program.join(',') },
    });
    await fixture.admin.query('alter table other rename to stowage_migrations');
  });
});
