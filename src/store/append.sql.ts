/** Statements that append to the tables with a partition a month; see append-rows.ts. */

import { statement } from '../postgres/statement.js';

/** What an append came to. */
export interface AppendedRow {
  readonly project_found: boolean;
  /** Rows that were new. */
  readonly appended: bigint;
}

/**
 * Appends events, one element an event in each array, sorted by key. A row that is there already
 * stays what it is; who appends it again is answered as the first one, so COMMIT must wait for
 * standbys as it did then, which it does only behind a record in the log: hence the message, which
 * nobody reads. Parameters: project, whether sealed months take rows (`on`, `off`), arrays.
 */
export const appendEvents = statement<AppendedRow>({
  name: 'append-events',
  intent: 'write',
  text: `
    with project as materialized (
      select true from projects where project_id = $1 and deleted_at is null
    ), late as materialized (
      select set_config('stowage.late_events', $2, true) as events
    ), appended as (
      insert into storage_audit (project_id, timestamp, id, user_id, username, action, object_key,
                                 version_id, ip_address, user_agent, success, error_message,
                                 correlation_id, metadata)
      select $1, e.timestamp, e.id, e.user_id, e.username, e.action, e.object_key, e.version_id,
             e.ip_address, e.user_agent, e.success, e.error_message, e.correlation_id, e.metadata
      from unnest($3::timestamptz[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
                  $9::text[], $10::inet[], $11::text[], $12::boolean[], $13::text[], $14::text[],
                  $15::jsonb[])
             as e (timestamp, id, user_id, username, action, object_key, version_id, ip_address,
                   user_agent, success, error_message, correlation_id, metadata), late
      where exists (select from project) and late.events is not null
      on conflict do nothing
      returning true
    ), counted as (
      select exists (select from project) as project_found, count(*) as appended from appended
    )
    select project_found, appended,
           case when project_found and appended < cardinality($3::timestamptz[])
                then pg_logical_emit_message(true, 'stowage', '') end as noted
    from counted`,
});

/** The same with executions of hooks, whose months are never sealed. */
export const appendExecutions = statement<AppendedRow>({
  name: 'append-executions',
  intent: 'write',
  text: `
    with project as materialized (
      select true from projects where project_id = $1 and deleted_at is null
    ), appended as (
      insert into storage_hooks (project_id, timestamp, id, hook_name, event_type, object_key,
                                 execution_time, success, error_message, response, payload,
                                 correlation_id)
      select $1, e.timestamp, e.id, e.hook_name, e.event_type, e.object_key, e.execution_time,
             e.success, e.error_message, e.response, e.payload, e.correlation_id
      from unnest($2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::float8[],
                  $8::boolean[], $9::text[], $10::jsonb[], $11::jsonb[], $12::text[])
             as e (timestamp, id, hook_name, event_type, object_key, execution_time, success,
                   error_message, response, payload, correlation_id)
      where exists (select from project)
      on conflict do nothing
      returning true
    ), counted as (
      select exists (select from project) as project_found, count(*) as appended from appended
    )
    select project_found, appended,
           case when project_found and appended < cardinality($2::timestamptz[])
                then pg_logical_emit_message(true, 'stowage', '') end as noted
    from counted`,
});

/** Makes the partitions of some months. Parameters: table, the months' first times. */
export const ensureMonths = statement<{ made: number }>({
  name: 'ensure-months',
  intent: 'write',
  text: 'select stowage_ensure_months($1, $2::timestamptz[]) as made',
});
