// The job that obeys `purge_at`: whose turn it is, what it leaves, and who runs it.
import { describe, expect, it } from 'vitest';
import { expireObjectsJob } from '../../src/jobs/expire-objects.js';
import { NEVER } from '../../src/lib/interruption.js';
import { keeping } from '../support/keeping.js';
import { useRouter } from '../support/use-router.js';

const fixture = useRouter();

const expire = () => expireObjectsJob({ router: fixture.router, keeping }).run(NEVER);

async function keysOf(project: string): Promise<unknown[]> {
  const rows = await fixture.admin.query(
    `select object_key from storage_objects where project_id = $1 order by object_key`,
    [project],
  );
  return rows.map((row) => row['object_key']);
}

/** Due objects that the database makes: as many as a test needs. */
async function makeDue(project: string, objects: number): Promise<void> {
  await fixture.admin.query(
    `insert into storage_objects (project_id, object_key, id, size, purge_at)
     select $1, 'k/' || lpad(n::text, 6, '0'), gen_random_uuid(), 1, now() - interval '1 hour'
     from generate_series(1, $2) n`,
    [project, objects],
  );
}

describe('the expiry job', () => {
  it('comes within half a minute, so that a time is obeyed within a minute', () => {
    expect(expireObjectsJob({ router: fixture.router, keeping }).intervalMs).toBeLessThanOrEqual(
      30_000,
    );
  });

  it('gives every project its turn while one has a backlog', async () => {
    await makeDue('a-backlog', 2500);
    await makeDue('b-late', 1);
    await expire();
    expect(await keysOf('a-backlog')).toEqual([]);
    const order = await fixture.admin.query(
      `select project_id, count(*)::int from storage_changes
       where project_id in ('a-backlog', 'b-late')
       group by project_id, xid order by max(seq)`,
    );
    expect(order).toEqual([
      { project_id: 'a-backlog', count: 1000 },
      { project_id: 'b-late', count: 1 },
      { project_id: 'a-backlog', count: 1000 },
      { project_id: 'a-backlog', count: 500 },
    ]);
  });

  it('goes on in its next run where the last one ended', async () => {
    const projects = Array.from({ length: 101 }, (_, at) => `p-${String(at).padStart(3, '0')}`);
    for (const project of projects) await makeDue(project, 1);
    const holder = await fixture.database.connect();
    await holder.query('begin');
    await holder.query(
      `select from storage_objects where project_id >= 'p-' and project_id < 'p-100' for update`,
    );
    // A hundred commits are a run: the first takes its turns in vain.
    const job = expireObjectsJob({ router: fixture.router, keeping });
    await job.run(NEVER);
    expect(await keysOf('p-100')).toEqual(['k/000001']);
    await job.run(NEVER);
    expect(await keysOf('p-100')).toEqual([]);
    await holder.query('rollback');
    await job.run(NEVER);
    for (const project of projects) expect(await keysOf(project)).toEqual([]);
  });

  it('does not let a project whose objects cannot be purged stand before the others', async () => {
    await fixture.admin.query(
      `create function refuse() returns trigger language plpgsql as $$
         begin raise exception 'refused'; end $$;
       create trigger refuse before delete on storage_objects
         for each row when (old.project_id = 'q-broken') execute function refuse()`,
    );
    await makeDue('q-broken', 1);
    await makeDue('r-behind', 1);
    const job = expireObjectsJob({ router: fixture.router, keeping });
    await expect(job.run(NEVER)).rejects.toThrow();
    await expect(job.run(NEVER)).rejects.toThrow();
    expect(await keysOf('r-behind')).toEqual([]);
    expect(await keysOf('q-broken')).toEqual(['k/000001']);
    await fixture.admin.query('drop function refuse() cascade');
    await job.run(NEVER);
    expect(await keysOf('q-broken')).toEqual([]);
  });

  it('leaves what another transaction has locked for its next run', async () => {
    const project = 'locked';
    await makeDue(project, 2);
    const holder = await fixture.database.connect();
    await holder.query('begin');
    await holder.query(
      `select from storage_objects where project_id = $1 and object_key = 'k/000001' for update`,
      [project],
    );
    await expire();
    expect(await keysOf(project)).toEqual(['k/000001']);
    await holder.query('rollback');
    await expire();
    expect(await keysOf(project)).toEqual([]);
  });

  it('is left to the server that is elected', async () => {
    const project = 'elected';
    const holder = await fixture.database.connect();
    await holder.query('begin');
    await holder.query(
      `select pg_advisory_xact_lock(hashtextextended('stowage_job_expire-objects', 0))`,
    );
    await makeDue(project, 1);
    await expire();
    expect(await keysOf(project)).toEqual(['k/000001']);
    await holder.query('rollback');
    await expire();
    expect(await keysOf(project)).toEqual([]);
  });
});
