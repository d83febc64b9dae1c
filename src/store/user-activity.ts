/** What a user did within a window, added up by action. */

import { create } from '@bufbuild/protobuf';
import {
  ActionActivitySchema,
  type GetUserActivityResponse,
  GetUserActivityResponseSchema,
} from '../../gen/stowage/v1/audit_read_pb.js';
import { fromMillis, type TimestampValue } from '../lib/timestamp.js';
import type { Call } from '../postgres/call.js';
import { checkRange } from './audit-filter.js';
import { timestampMessage } from './messages.js';
import { requireProject } from './objects.js';
import type { Store } from './store.js';
import { type ActivityRow, userActivity } from './user-activity.sql.js';

/** A million rows of an index take a few seconds where they are not in memory. */
const EVENTS_MAX = 1_000_000;
const ACTIONS_MAX = 1000;
const WINDOW_SECONDS = 7n * 86_400n;
const LEAST_SECONDS = -62_135_596_800n;

/** Whose activity, within which window. */
export interface ActivityWindow {
  readonly userId: string;
  /** Left out: 7 days before the end. */
  readonly startTime?: TimestampValue | undefined;
  /** Left out: now. */
  readonly endTime?: TimestampValue | undefined;
}

/**
 * Adds up the events of a user.
 * @param eventsMax how many of the newest are counted
 * @throws StowageError INVALID_REQUEST for a window that ends before it begins, PROJECT_NOT_FOUND.
 */
export async function readUserActivity(
  store: Store,
  call: Call,
  window: ActivityWindow,
  eventsMax: number = EVENTS_MAX,
): Promise<GetUserActivityResponse> {
  // The millisecond that runs is part of it: events are of microseconds.
  const end = window.endTime ?? fromMillis(Date.now() + 1);
  const start = window.startTime ?? weekBefore(end);
  const { startTime, endTime } = checkRange({ startTime: start, endTime: end }, 'end_time');
  const params = [call.project, window.userId, startTime, endTime, eventsMax, ACTIONS_MAX];
  const [all, ...actions] = await store.router.run(userActivity, params, call);
  if (all === undefined || all.events === 0n) await requireProject(store, call);
  return create(GetUserActivityResponseSchema, {
    ...(all === undefined ? {} : figuresOf(all)),
    actions: actions.map((row) =>
      create(ActionActivitySchema, { action: row.action ?? '', ...figuresOf(row) }),
    ),
    limited: all?.limited ?? false,
  });
}

function figuresOf({ events, failures, first_seen, last_seen, bytes }: ActivityRow) {
  return {
    events,
    failures,
    bytes,
    ...(first_seen === null ? {} : { firstSeen: timestampMessage(first_seen) }),
    ...(last_seen === null ? {} : { lastSeen: timestampMessage(last_seen) }),
  };
}

function weekBefore({ seconds, nanos }: TimestampValue): TimestampValue {
  const week = seconds - WINDOW_SECONDS;
  return week < LEAST_SECONDS ? { seconds: LEAST_SECONDS, nanos: 0 } : { seconds: week, nanos };
}
