import { describe, expect, it, onTestFinished } from 'vitest';
import { cleanExportLeasesJob } from '../../src/jobs/clean-export-leases.js';
import { cleanRequestLogJob } from '../../src/jobs/clean-request-log.js';
import { ensurePartitions } from '../../src/jobs/ensure-partitions.js';
import { createRunningJob, type Job } from '../../src/jobs/job.js';
import { allJobs, createJobs } from '../../src/jobs/jobs.js';
import { noteTimelineJob } from '../../src/jobs/note-timeline.js';
import { NEVER } from '../../src/lib/interruption.js';
import type { Router } from '../../src/postgres/router-api.js';
import { recordRuns } from '../support/job-runs.js';
import { keeping } from '../support/keeping.js';
import { useRouter } from '../support/use-router.js';

const fixture = useRouter();

/** The jobs' names and makers, for a router that does not exist yet when tests are named. */
const contract = allJobs({} as Router, keeping).map((job, index) => ({
  name: job.name,
  intervalMs: job.intervalMs,
  make: (): Job => {
    const made = allJobs(fixture.router, keeping)[index];
    if (made === undefined) throw new Error('the list of jobs is not constant');
    return made;
  },
}));

describe('every job', () => {
  it('has a name of its own', () => {
    expect(new Set(contract.map((job) => job.name)).size).toBe(contract.length);
  });
});

describe.each(contract)('the job $name', ({ name, intervalMs, make }) => {
  it('has a name for metrics and an interval of a second to a day', () => {
    expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
    expect(intervalMs).toBeGreaterThanOrEqual(1000);
    expect(intervalMs).toBeLessThanOrEqual(86_400_000);
  });

  it('runs as the service, stops, and runs again', async () => {
    const recorded = recordRuns(name);
    const running = createRunningJob(make());
    onTestFinished(recorded.stop);
    for (const count of [1, 2]) {
      running.start();
      running.start();
      await recorded.first(count);
      await running.stop();
      await running.stop();
    }
    expect(recorded.runs.map((run) => run.outcome)).toEqual(['succeeded', 'succeeded']);
  });

  it('does nothing once it is told to stop', async () => {
    const reason = new Error('stopped');
    await make()
      .run(AbortSignal.abort(reason))
      .catch((error: unknown) => expect(error).toBeDefined());
  });

  it('does no harm beside itself', async () => {
    await Promise.all([1, 2, 3].map(() => make().run(NEVER)));
  });
});

describe('ensurePartitions', () => {
  it('makes as the service what lacks', async () => {
    const [partition] = await fixture.admin.query<{ name: string }>(
      `select max(inhrelid::regclass::text) as name from pg_inherits
       where inhparent = 'storage_changes'::regclass`,
    );
    await fixture.admin.query(`drop table ${partition?.name}`);
    expect(await ensurePartitions(fixture.router, NEVER)).toBe(1);
    expect(await ensurePartitions(fixture.router, NEVER)).toBe(0);
  });
});

describe('the request log', () => {
  const remembered = async (): Promise<unknown[]> =>
    fixture.admin.query(`select principal, count(*)::int as requests from request_log
                 group by principal order by principal`);

  const remember = async (principal: string, count: number, age: string): Promise<void> => {
    await fixture.admin.query(
      `insert into request_log (project_id, principal, request_id, method, request_sha256,
         response, created_at)
       select 'default', $1, gen_random_uuid(), 'm', sha256(''), '', now() - $3::interval
       from generate_series(1, $2)`,
      [principal, count, age],
    );
  };

  it('forgets what is older than a day, in batches, and nothing else', async () => {
    await remember('old', 2500, '24 hours 1 minute');
    await remember('recent', 3, '23 hours 59 minutes');
    await cleanRequestLogJob(fixture.router, 24).run(NEVER);
    expect(await remembered()).toEqual([{ principal: 'recent', requests: 3 }]);
  });

  it('is kept for as long as is set', async () => {
    await remember('recent', 3, '47 hours');
    await cleanRequestLogJob(fixture.router, 48).run(NEVER);
    expect(await remembered()).toContainEqual({ principal: 'recent', requests: 6 });
    await cleanRequestLogJob(fixture.router, 24).run(NEVER);
    expect(await remembered()).toContainEqual({ principal: 'recent', requests: 3 });
  });

  it('is left to the server that is elected', async () => {
    await remember('old', 1, '2 days');
    await fixture.admin.query('begin');
    await fixture.admin.query(
      `select pg_advisory_xact_lock(hashtextextended('stowage_job_clean-request-log', 0))`,
    );
    await cleanRequestLogJob(fixture.router, 24).run(NEVER);
    await fixture.admin.query('rollback');
    expect(await remembered()).toContainEqual({ principal: 'old', requests: 1 });
    await cleanRequestLogJob(fixture.router, 24).run(NEVER);
    expect(await remembered()).not.toContainEqual({ principal: 'old', requests: 1 });
  });
});

describe('the leases of exports', () => {
  it('are forgotten a day after their expiry, in batches, and no others', async () => {
    const lease = (principal: string, count: number, age: string) =>
      fixture.admin.query(
        `insert into export_leases (project_id, lease_id, source, range_start, range_end,
           principal, expires_at)
         select 'default', gen_random_uuid(), 'storage_audit', '2025-01-01', '2025-02-01', $1,
           now() - $3::interval
         from generate_series(1, $2)`,
        [principal, count, age],
      );
    await lease('old', 2500, '24 hours 1 minute');
    await lease('recent', 3, '23 hours 59 minutes');
    await lease('running', 2, '-15 minutes');
    await cleanExportLeasesJob(fixture.router).run(NEVER);
    expect(
      await fixture.admin.query(
        `select principal, count(*)::int as leases from export_leases
         group by principal order by principal`,
      ),
    ).toEqual([
      { principal: 'recent', leases: 3 },
      { principal: 'running', leases: 2 },
    ]);
  });
});

describe('the timeline', () => {
  const read = async () => {
    const [row] = await fixture.admin.query<{ reached: string; behind: string }>(
      `select reached_lsn::text as reached, pg_current_wal_flush_lsn() - reached_lsn as behind
       from timelines where timeline = 1`,
    );
    return row;
  };

  it('is noted with how far it has come, and never backward', async () => {
    await noteTimelineJob(fixture.router).run(NEVER);
    const first = await read();
    expect(Number(first?.behind)).toBeGreaterThanOrEqual(0);
    await noteTimelineJob(fixture.router).run(NEVER);
    const second = await read();
    // The first note was itself written to the log.
    expect(second?.reached).not.toBe(first?.reached);
    await fixture.admin.query(`update timelines set reached_lsn = 'FFFFFFFF/0'`);
    await noteTimelineJob(fixture.router).run(NEVER);
    expect((await read())?.reached).toBe('FFFFFFFF/0');
    await fixture.admin.query('update timelines set reached_lsn = null');
  });
});

describe('all jobs together', () => {
  it('start and stop as one', async () => {
    const jobs = createJobs(fixture.router, keeping);
    const recorded = contract.map(({ name }) => recordRuns(name));
    jobs.start();
    await Promise.all(recorded.map((each) => each.first(1)));
    await jobs.stop();
    for (const each of recorded) each.stop();
  });
});
