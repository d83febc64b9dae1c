/** The columns of an audit event as statements give them, in the order of the message's fields. */

import { create, type JsonObject } from '@bufbuild/protobuf';
import { type AuditEvent, AuditEventSchema } from '../../gen/stowage/v1/audit_pb.js';
import type { TimestampValue } from '../lib/timestamp.js';
import type { TupleColumn } from '../wire/tuple-encoder.js';
import { timestampMessage } from './messages.js';
import { metadataField } from './object-row.js';

/** A row of `storage_audit`; what was left out is null. */
export interface EventRow {
  readonly id: string;
  readonly timestamp: TimestampValue;
  readonly user_id: string | null;
  readonly username: string | null;
  readonly action: string;
  readonly object_key: string | null;
  readonly version_id: string | null;
  readonly ip_address: string | null;
  readonly user_agent: string | null;
  readonly success: boolean;
  readonly error_message: string | null;
  readonly correlation_id: string | null;
  readonly metadata: JsonObject | null;
}

/** The columns of an event; `host` writes an address without the mask that inet would show. */
export const EVENT = `id, timestamp, user_id, username, action, object_key, version_id,
    host(ip_address) as ip_address, user_agent, success, error_message, correlation_id, metadata`;

/** What the tuple encoder is compiled from; the order of `EVENT`. */
export const auditColumns: readonly TupleColumn[] = [
  { name: 'id', type: 'uuid' },
  { name: 'timestamp', type: 'timestamptz' },
  { name: 'user_id', type: 'text' },
  { name: 'username', type: 'text' },
  { name: 'action', type: 'text' },
  { name: 'object_key', type: 'text' },
  { name: 'version_id', type: 'text' },
  { name: 'ip_address', type: 'text' },
  { name: 'user_agent', type: 'text' },
  { name: 'success', type: 'bool' },
  { name: 'error_message', type: 'text' },
  { name: 'correlation_id', type: 'text' },
  { name: 'metadata', type: 'jsonb' },
];

/** The message for a row. */
export function toEvent(row: EventRow): AuditEvent {
  return create(AuditEventSchema, {
    id: row.id,
    timestamp: timestampMessage(row.timestamp),
    userId: row.user_id ?? '',
    username: row.username ?? '',
    action: row.action,
    objectKey: row.object_key ?? '',
    versionId: row.version_id ?? '',
    ipAddress: row.ip_address ?? '',
    userAgent: row.user_agent ?? '',
    success: row.success,
    errorMessage: row.error_message ?? '',
    correlationId: row.correlation_id ?? '',
    ...metadataField(row.metadata ?? {}),
  });
}
