/** Small messages that several nouns are made of. */

import { create } from '@bufbuild/protobuf';
import { type Timestamp, TimestampSchema } from '@bufbuild/protobuf/wkt';
import type { TimestampValue } from '../lib/timestamp.js';

/** The message for a time. */
export function timestampMessage(time: TimestampValue): Timestamp {
  return create(TimestampSchema, time);
}
