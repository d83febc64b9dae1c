/** A service whose database is vacuumed, analyzed and reindexed, and what is seen of that. */
import { type Client, createClient } from '@connectrpc/connect';
import {
  type MaintenanceJob,
  MaintenanceState,
} from '../../gen/stowage/v1/admin_maintenance_pb.js';
import { AdminService } from '../../gen/stowage/v1/admin_service_pb.js';
import { createTransport } from '../../src/client/index.js';
import { until } from '../../src/lib/wait.js';
import type { TestConnection } from './database.js';
import { startService, type TestService } from './service.js';

/** How long a test waits for what must come. */
export const WAIT_MS = 20_000;

/** As long as a name may be, so that PostgreSQL cuts it where it adds to it. */
export const LONG_INDEX = `maintained_${'ü'.repeat(25)}_x`;

export type Admin = Client<typeof AdminService>;

interface IndexRow extends Record<string, unknown> {
  readonly name: string;
  readonly file: string;
  readonly valid: boolean;
}

/** A client of AdminService at door 1; an idle one keeps nothing alive. */
export function adminAt(endpoints: string): Admin {
  return createClient(AdminService, createTransport({ endpoints }));
}

/** A service with a table of its own, which nothing but its jobs maintains. */
export class MaintainedService {
  readonly service: TestService;
  readonly admin: Admin;
  /** A session of the test's own, for its locks. */
  readonly holder: TestConnection;

  private constructor(service: TestService, holder: TestConnection) {
    this.service = service;
    this.admin = adminAt(service.grpcTarget);
    this.holder = holder;
  }

  /** The table is `maintained`, some 60 pages with two indexes. */
  static async start(): Promise<MaintainedService> {
    const service = await startService();
    for (const text of [
      `create table maintained (id integer primary key, text text)
       with (autovacuum_enabled = off)`,
      `create index "${LONG_INDEX}" on maintained (text)`,
      `insert into maintained select n, repeat('x', 400) from generate_series(1, 1000) as n`,
    ]) {
      await service.sql(text);
    }
    return new MaintainedService(service, await service.database.connect());
  }

  /** The job as soon as it is so; by default, ended. */
  async untilJob(
    { jobId = '' }: Partial<MaintenanceJob> = {},
    is = ({ state }: MaintenanceJob) => state !== MaintenanceState.RUNNING,
    admin = this.admin,
  ): Promise<MaintenanceJob> {
    const asked = async () => {
      const { job } = await admin.getMaintenanceJob({ jobId });
      return job !== undefined && is(job) ? job : undefined;
    };
    return until(asked, { timeoutMs: WAIT_MS, what: `the job ${jobId} is so` });
  }

  /** Keeps others from tables until the holder rolls back. */
  async hold(mode: string, tables = 'maintained'): Promise<void> {
    await this.holder.query(`begin; lock table ${tables} in ${mode} mode`);
  }

  /** Indexes with the file that each lies in. */
  indexesLike(pattern: string): Promise<IndexRow[]> {
    return this.service.sql<IndexRow>(
      `select relname as name, relfilenode::text as file, indisvalid as valid
       from pg_class join pg_index on indexrelid = pg_class.oid
       where relname like $1 and relkind = 'i' order by relname`,
      [pattern],
    );
  }

  /** What PostgreSQL has counted of a table. */
  async statisticsOf(table: string): Promise<Record<'dead' | 'vacuums' | 'analyzes', number>> {
    await this.service.sql('select pg_stat_force_next_flush()');
    const [row] = await this.service.sql<Record<'dead' | 'vacuums' | 'analyzes', number>>(
      `select n_dead_tup::int as dead, vacuum_count::int as vacuums, analyze_count::int as analyzes
       from pg_stat_user_tables where relname = $1`,
      [table],
    );
    if (row === undefined) throw new Error(`there are no statistics of ${table}`);
    return row;
  }

  /** What the audit trail has of a job. */
  audited(jobId = ''): Promise<Record<string, unknown>[]> {
    return this.service.sql(
      `select user_id, action, metadata from storage_audit where metadata->>'job_id' = $1
       order by timestamp`,
      [jobId],
    );
  }

  /** The sessions that jobs work in, by a pattern of the job's id. */
  sessionsOf(jobId: string): Promise<{ pid: number }[]> {
    return this.service.sql<{ pid: number }>(
      `select pid from pg_stat_activity
       where datname = current_database() and application_name like 'stowage maintenance ' || $1`,
      [jobId],
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service[Symbol.asyncDispose]();
  }
}
