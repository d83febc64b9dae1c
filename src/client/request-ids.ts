/** Gives each mutation a request id, so that whoever repeats it can do so safely. */

import { randomUUID } from 'node:crypto';
import { type DescMethod, type Message, ScalarType } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel as Level } from '@bufbuild/protobuf/wkt';
import type { Interceptor } from '@connectrpc/connect';

/** Whether the method's requests carry a request id, by its own descriptor. */
function hasRequestId({ idempotency, input }: DescMethod): boolean {
  return idempotency === Level.IDEMPOTENT && input.field['requestId']?.scalar === ScalarType.STRING;
}

/** A copy with an id, where it has none: the message is the caller's, and may be sent again. */
function withRequestId(message: Message): Message {
  const { requestId } = message as Message & { readonly requestId?: string };
  if (requestId !== undefined && requestId !== '') return message;
  return Object.assign({}, message, { requestId: randomUUID() });
}

async function* withRequestIds(messages: AsyncIterable<Message>): AsyncGenerator<Message> {
  for await (const message of messages) yield withRequestId(message);
}

/** Sets `request_id` where a mutation leaves it empty; in a stream on each message. */
export const requestIds: Interceptor = (next) => (request) => {
  if (!hasRequestId(request.method)) return next(request);
  if (request.stream) return next({ ...request, message: withRequestIds(request.message) });
  return next({ ...request, message: withRequestId(request.message) });
};
