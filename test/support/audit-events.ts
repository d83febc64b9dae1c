/** Events of the audit trail written by SQL, as many as a test needs and of any time. */

import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { TestService } from './service.js';

/** A row to write; what is left out is null. Times are in microseconds since 1970. */
export interface MadeEvent {
  readonly id: string;
  readonly micros: number;
  readonly userId?: string;
  readonly username?: string;
  readonly action: string;
  readonly objectKey?: string;
  readonly versionId?: string;
  readonly ipAddress?: string;
  readonly success?: boolean;
  readonly correlationId?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** Writes events, in months that are made where they are missing: at most four. */
export async function insertEvents(
  service: Pick<TestService, 'sql'>,
  events: readonly MadeEvent[],
  project = 'default',
): Promise<void> {
  const rows = JSON.stringify(events);
  await service.sql(
    `select stowage_ensure_months('storage_audit', array_agg(to_timestamp(micros / 1e6)))
     from jsonb_to_recordset($1) as e (micros float8)`,
    [rows],
  );
  await service.sql(
    `insert into storage_audit (project_id, timestamp, id, user_id, username, action, object_key,
       version_id, ip_address, success, correlation_id, metadata)
     select $2, timestamptz 'epoch' + micros * interval '1 microsecond', id, "userId", username,
       action, "objectKey", "versionId", "ipAddress", coalesce(success, true), "correlationId",
       metadata
     from jsonb_to_recordset($1) as e (id uuid, micros int8, "userId" text, username text,
       action text, "objectKey" text, "versionId" text, "ipAddress" inet, success boolean,
       "correlationId" text, metadata jsonb)`,
    [rows, project],
  );
}

/** The time of a message. */
export function timeOfMicros(micros: number) {
  const time = timestampFromMs(Math.floor(micros / 1000));
  return { seconds: time.seconds, nanos: time.nanos + (micros % 1000) * 1000 };
}

/** The microseconds of a message's time. */
export function microsOf(time: { seconds: bigint; nanos: number } | undefined): number {
  return time === undefined ? Number.NaN : Number(time.seconds) * 1e6 + time.nanos / 1000;
}

/** Makes a project that has no event yet: the service would write one of its making. */
export async function makeProject({ sql }: Pick<TestService, 'sql'>, id: string): Promise<string> {
  await sql(`insert into projects (project_id, name, language) values ($1, $1, 'en')`, [id]);
  return id;
}
