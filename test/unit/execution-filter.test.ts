/** Time ranges of executions as their statements get them. */

import { create } from '@bufbuild/protobuf';
import { expect, it } from 'vitest';
import { ExecutionFilterSchema } from '../../gen/stowage/v1/hook_pb.js';
import { checkedExecutionFilter } from '../../src/store/execution-filter.js';

it('are exact to the nanosecond for executions of whole microseconds', () => {
  const filter = create(ExecutionFilterSchema, {
    startTime: { seconds: 1n, nanos: 1 },
    endTime: { seconds: 1n, nanos: 2001 },
  });
  expect(checkedExecutionFilter(filter)).toMatchObject({
    startTime: '1970-01-01T00:00:01.000001Z',
    timeBefore: '1970-01-01T00:00:01.000000Z',
    endTime: '1970-01-01T00:00:01.000003Z',
  });
});
