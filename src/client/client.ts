/**
 * Typed clients: Connect's, made more pleasant in two ways. What fails is a {@link CallError}, and
 * a stream that is left early (`break`, `return`, a throw in the loop) ends on the wire, where
 * Connect would let it run on.
 */

import type { DescMethod, DescService } from '@bufbuild/protobuf';
import {
  type AnyClient,
  type CallOptions,
  type Client,
  createClient as createConnectClient,
  makeAnyClient,
  type Transport,
} from '@connectrpc/connect';
import { toCallError } from './call-error.js';

type StreamMethod = (input: unknown, options?: CallOptions) => AsyncIterable<unknown>;
type UnaryMethod = (input: unknown, options?: CallOptions) => Promise<unknown>;

/** Makes the client of a service. Its methods throw {@link CallError} and nothing else. */
export function createClient<Service extends DescService>(
  service: Service,
  transport: Transport,
): Client<Service> {
  const connect = createConnectClient(service, transport) as AnyClient;
  const client = makeAnyClient(service, (described) => {
    const { methodKind, localName } = described;
    const method = connect[localName];
    if (method === undefined) return null;
    const isUnary = methodKind === 'unary' || methodKind === 'client_streaming';
    return isUnary ? unaryMethod(method, described) : streamMethod(method, described);
  });
  return client as Client<Service>;
}

function unaryMethod(call: UnaryMethod, method: DescMethod): UnaryMethod {
  return async (input, options) => {
    try {
      return await call(input, options);
    } catch (error) {
      throw toCallError(error, { method, isAborted: options?.signal?.aborted === true });
    }
  };
}

function streamMethod(call: StreamMethod, method: DescMethod): StreamMethod {
  return (input, options = {}) => {
    const begin = (signal: AbortSignal) => call(input, { ...options, signal });
    const iterator = leavable(begin, method, options.signal);
    return { [Symbol.asyncIterator]: () => iterator };
  };
}

/**
 * The messages of a stream, which begins when it is first asked for one: the failure of a call that
 * began before would be nobody's while nobody asks.
 */
function leavable(
  begin: (signal: AbortSignal) => AsyncIterable<unknown>,
  method: DescMethod,
  signal: AbortSignal | undefined,
): AsyncIterator<unknown> {
  const leaving = new AbortController();
  const leave = (): void => leaving.abort(signal?.reason);
  const unlink = (): void => signal?.removeEventListener('abort', leave);
  let messages: AsyncIterator<unknown> | undefined;
  let isLeft = false;
  const start = (): AsyncIterator<unknown> => {
    // Not AbortSignal.any: a long-lived signal would keep something of every stream.
    if (signal?.aborted === true) leave();
    else signal?.addEventListener('abort', leave, { once: true });
    return begin(leaving.signal)[Symbol.asyncIterator]();
  };
  return {
    next: async () => {
      if (isLeft) return { done: true, value: undefined };
      try {
        messages ??= start();
        const result = await messages.next();
        if (result.done === true) unlink();
        return result;
      } catch (error) {
        unlink();
        throw toCallError(error, { method, isAborted: signal?.aborted === true });
      }
    },
    return: async () => {
      isLeft = true;
      unlink();
      leaving.abort();
      return { done: true, value: undefined };
    },
  };
}
