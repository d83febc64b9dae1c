/** Audit events as they are appended. */

import { isIP } from 'node:net';
import type { AuditEvent } from '../../gen/stowage/v1/audit_pb.js';
import { invalidField } from '../errors.js';
import { type AppendRow, appendRow, jsonOrNull, textOrNull } from './append-row.js';

/**
 * The row of a validated event.
 * @throws StowageError INVALID_REQUEST for what is no address; EVENT_TIME_OUT_OF_RANGE.
 */
export function eventRow(event: AuditEvent, path: string, nowMs: number): AppendRow {
  return appendRow(event, path, nowMs, [
    textOrNull(event.userId),
    textOrNull(event.username),
    event.action,
    textOrNull(event.objectKey),
    textOrNull(event.versionId),
    address(event.ipAddress, `${path}.ip_address`),
    textOrNull(event.userAgent),
    String(event.success ?? event.errorMessage === ''),
    textOrNull(event.errorMessage),
    textOrNull(event.correlationId),
    jsonOrNull(event.metadata),
  ]);
}

/** Node takes zones (`fe80::1%eth0`), PostgreSQL takes masks: no address of a caller has either. */
function address(text: string, field: string): string | null {
  if (text === '') return null;
  if (isIP(text) === 0 || text.includes('%')) {
    throw invalidField(field, 'must be an IPv4 or IPv6 address, without a zone and a mask');
  }
  return text;
}
